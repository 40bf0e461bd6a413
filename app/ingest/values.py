"""Parse values in imported files: ids, years, ratings, dates and kinds, as people and programs write them.

Each function takes a short text and returns None if it cannot read it. Ambiguous values are not guessed.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from app.activity.ratings import MAX_HALF_STARS
from seeds.files.rating_cells import date_in, time_of, year_last
from seeds.titles import fold_case

LONGEST_VALUE = 100  # characters of an id, year, rating, date or kind
LARGEST_ID = 2**31
FIRST_YEAR, LAST_YEAR = 1870, 2100
AHEAD = timedelta(days=1)  # a day begins this much earlier in other time zones
EMOJI_STYLE = "\N{VARIATION SELECTOR-16}"  # follows a star that is shown as an emoji
UNRATED = {"", "-", "–", "—", "n/a", "na", "null", "none", "not rated", "unrated", "\\n"}

_IMDB_ID = re.compile(r"(?:.{0,80}/title/)?(?:tt)?(\d{1,10})(?:\.0)?(?:[/?].{0,80})?", re.IGNORECASE)
_NUMBER = re.compile(r"\d{1,12}(?:[.,]\d{1,12})?")
_IN_WORDS = re.compile(r"([\d.,]{1,5})\s?(?:stars?|(?:out )?of (\d{1,3})(?: stars)?)", re.IGNORECASE)
_GROUPED_YEAR = re.compile(r"[12][,.\u00a0\u202f ’']\d{3}")

# Words for other kinds than movies, in lower case, in the languages of IMDb's site and a few more.
_NOT_MOVIES = (
    "serie", "serial", "episod", "season", "podcast", "game", "videogioco", "videojuego", "videospiel",
    "jeu video", "jogo", "folge", "staffel", "saison", "stagione", "temporada", "aflevering", "avsnitt",
    "odcinek", "dizi", "bolum", "music video", "musicvideo", "videoclip", "video musical", "musikvideo",
    "clip video", "muziekvideo", "teledysk", "सीरीज़", "सीरीज", "एपिसोड", "गेम",
    "पॉडकास्ट", "संगीत वीडियो",
    "сериал", "эпизод", "серия", "игра", "подкаст",
    "シリーズ", "エピソード", "ゲーム", "剧集", "电视剧", "電視劇", "影集", "游戏", "遊戲",
    "연속극", "시리즈", "에피소드", "게임",
)  # fmt: skip
_NOT_MOVIES_ALONE = {"tv", "show", "tv show", "tvshow", "anime", "book", "album", "person", "people", "list"}


def number(text: str) -> int | None:
    """A positive integer, also as a spreadsheet writes it: `862.0`."""
    digits = text.removesuffix(".0")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > len(str(LARGEST_ID)):
        return None
    return int(digits) if 0 < int(digits) < LARGEST_ID else None


def imdb_id_of(text: str) -> str | None:
    """An IMDb id such as `tt0133093`, from an id, its digits, or an IMDb URL."""
    match = _IMDB_ID.fullmatch(text.strip()) if len(text) <= LONGEST_VALUE else None
    digits = number(match[1]) if match else None
    return None if digits is None else f"tt{digits:07d}"


def year_of(text: str) -> int | None:
    """A year, from `1999`, `1,999` or an ISO date."""
    text = text.strip()
    if _GROUPED_YEAR.fullmatch(text):
        text = text[0] + text[2:]
    year = number(text)
    if year is None and text[:4].isdigit() and text[4:5] == "-":
        try:
            year = datetime.fromisoformat(text).year
        except ValueError:
            return None
    return year if year is not None and FIRST_YEAR <= year <= LAST_YEAR else None


def is_rated(text: str) -> bool:
    """Whether there is a rating; 0 means none."""
    return text.casefold() not in UNRATED and decimal(text) != 0


def half_stars_in(text: str, most: float, *, rounded: bool = False) -> int | None:
    """Convert a rating on a scale up to `most` to half-stars.

    `★★★½`, `4 stars`, `8/10`, `8 out of 10` and `80%` have their own scale.

    Ratings are `rounded` on scales finer than half-stars. On others, a value between half-stars returns None.
    """
    share, own_scale = None, True
    text = text.replace(EMOJI_STYLE, "")
    if text.endswith(" 1/2"):
        text = text.removesuffix(" 1/2") + "½"
    if text and not text.strip("★☆⭐½"):
        share = (text.count("★") + text.count("⭐") + text.count("½") / 2) / 5
    elif text.endswith("½"):
        share, own_scale = _share(f"{text[:-1].strip()}.5", f"{most:.6f}"), False
    elif match := _IN_WORDS.fullmatch(text):
        share = _share(match[1], match[2] or "5")
    elif text.endswith("%"):
        share = _share(text.removesuffix("%"), "100")
    elif "/" in text and text != "1/2":  # half a star, or one of two
        share = _share(*text.split("/", maxsplit=1))
    else:
        share, own_scale = _share(text, f"{most:.6f}"), False
    if share is None or not 0 < share <= 1:
        return None
    half_stars = share * MAX_HALF_STARS
    if rounded or own_scale:
        return max(1, int(half_stars + 0.5))
    return round(half_stars) if abs(half_stars - round(half_stars)) < 1e-6 and half_stars >= 1 else None  # noqa: PLR2004


def _share(value: str, most: str) -> float | None:
    part, whole = decimal(value), decimal(most)
    return None if part is None or not whole else part / whole


def decimal(text: str) -> float | None:
    """A non-negative number with a decimal point or comma. `1,000` is ambiguous and returns None."""
    text = text.strip()
    if not text.isascii() or not _NUMBER.fullmatch(text):
        return None
    whole, comma, digits = text.partition(",")
    if comma and len(digits) == 3:  # noqa: PLR2004 - a group of thousands
        return None
    return float(f"{whole}.{digits}" if comma else text)


@dataclass(frozen=True, slots=True)
class Day:
    """A time. `month_first` is the other reading of an ambiguous date such as 3/4/2014.

    `day_first` is the order that a date such as 15/1/2014 shows; None for a date that shows none.
    """

    time: datetime
    month_first: datetime | None = None
    day_first: bool | None = None


@lru_cache(4096)
def day_of(text: str, now: datetime) -> Day | None:
    """Parse a date or time: ISO 8601, seconds or milliseconds since 1970, or formats of spreadsheets.

    None for an unreadable time, or one more than a day ahead of `now`. One up to a day ahead counts as now.
    """
    text = " ".join(text.split()) if len(text) <= LONGEST_VALUE else ""
    if (match := year_last(text)) is not None:
        return _numeric(match, now)
    time = _since_1970(text) or _shown(text)
    time = _plausible(time, now) if time else None
    return Day(time) if time else None


def _plausible(time: datetime, now: datetime) -> datetime | None:
    return min(time, now) if time.year >= FIRST_YEAR and time <= now + AHEAD else None


def _since_1970(text: str) -> datetime | None:
    digits = text.removesuffix(".0")
    if digits.isascii() and digits.isdigit():
        if len(digits) in (9, 10):
            return datetime.fromtimestamp(int(digits), UTC)
        if len(digits) in (12, 13):
            return datetime.fromtimestamp(int(digits) / 1000, UTC)
    return None


def _shown(text: str) -> datetime | None:
    """A date that shows the order of its parts."""
    if text.isdigit() and len(text) != len("20140115"):
        return None
    try:
        return date_in(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _numeric(match: re.Match[str], now: datetime) -> Day | None:
    first, other = int(match["first"]), int(match["other"])

    def read(day: int, month: int) -> datetime | None:
        try:
            return time_of(match, day=day, month=month).astimezone(UTC)
        except (ValueError, OverflowError):
            return None

    day_first = read(first, other)
    month_first = None if match["mark"] == "." else read(other, first)
    shown = None
    if match["mark"] != "." and (day_first is None) != (month_first is None):
        shown = day_first is not None
    # A reading in the future is discarded.
    times = [time for each in (day_first, month_first) if each and (time := _plausible(each, now))]
    if len(set(times)) > 1:
        return Day(times[0], times[1])
    return Day(times[0], day_first=shown) if times else None


@lru_cache(1000)
def is_movie(kind: str) -> bool:
    """Whether a kind may be a movie. Unknown words may, in any language."""
    if len(kind) > LONGEST_VALUE:
        return True
    words = _words_of(kind)
    return words not in _NOT_MOVIES_ALONE and not any(word in words for word in _folded_words())


def _words_of(kind: str) -> str:
    return " ".join("".join(char if char.isalnum() else " " for char in fold_case(kind)).split())


@lru_cache(1)
def _folded_words() -> tuple[str, ...]:
    """The words for other kinds than movies, folded as kinds are."""
    return tuple(map(_words_of, _NOT_MOVIES))
