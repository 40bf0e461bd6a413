"""What members have rated, watched and listed elsewhere: CSV exports of four sites, read.

A layout is known by its header, but what a list of films is for often is not: Letterboxd's watched.csv,
watchlist.csv and likes/films.csv have the same columns, as all lists of IMDb have, and of Trakt. Columns that
are not named here are not looked at.
"""

import csv
import enum
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

MAX_CHARACTERS = 3_000_000  # a body has 3.5 million bytes at most
MAX_ROWS = 20_000
MAX_HALF_STARS = 10
LARGEST_ID = 2**31
LONGEST_VALUE = 10_000  # characters
LONGEST_SHOWN = 200
NOT_TOLD = (
    "The file has films without a rating, and its header does not tell what they are listed for: say in "
    "`contents` whether they were WATCHED, are LIKED, or are a WATCHLIST."
)


class Source(enum.StrEnum):
    LETTERBOXD = "LETTERBOXD"
    IMDB = "IMDB"
    TRAKT = "TRAKT"
    MOVIELENS = "MOVIELENS"


class Contents(enum.StrEnum):
    """What a row without a rating says of its film."""

    WATCHED = "WATCHED"
    WATCHLIST = "WATCHLIST"
    LIKED = "LIKED"


class InvalidHistory(Exception):
    """A file that cannot be taken at all; the message is for the caller."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Names of columns: lower case, without what is no letter or digit; the first that has a value counts."""

    mark: str  # a column that no other layout has
    rating: tuple[str, ...] = ("rating",)
    half_stars_per_unit: int = 2
    title: str = "title"
    kind: str = "type"
    ids: dict[str, str] = field(default_factory=dict)
    dates: tuple[str, ...] = ()
    watched: tuple[str, ...] = ()  # with one of these columns, a film without a rating was watched
    listed: tuple[str, ...] = ()  # with one of these columns, the file is a list, for whatever purpose


LAYOUTS = {
    # ratings.csv, reviews.csv and diary.csv are of films watched; the other files have no ratings.
    Source.LETTERBOXD: Layout(
        mark="letterboxduri", title="name", dates=("date", "watcheddate"), watched=("rating",)
    ),
    Source.IMDB: Layout(
        mark="const",
        rating=("yourrating", "yourated"),
        half_stars_per_unit=1,
        kind="titletype",
        ids={"imdb_id": "const"},
        dates=("daterated", "created"),
        listed=("position", "created"),
    ),
    Source.TRAKT: Layout(
        mark="traktid",
        half_stars_per_unit=1,
        ids={"imdb_id": "imdbid", "tmdb_id": "tmdbid"},
        dates=("ratedat", "watchedat", "lastwatchedat", "listedat"),
        watched=("watchedat", "lastwatchedat"),
        listed=("listedat",),
    ),
    # A member's own export, and the layout of the data sets.
    Source.MOVIELENS: Layout(
        mark="movieid",
        ids={"movielens_id": "movieid", "imdb_id": "imdbid", "tmdb_id": "tmdbid"},
        dates=("timestamp",),
    ),
}
FILMS = {"", "movie", "film", "tvmovie", "video", "short", "tvshort", "tvspecial", "documentary", "feature"}


@dataclass(frozen=True, slots=True)
class Row:
    """A film that a member has rated, or, without `half_stars`, of which they say what the file is for."""

    line: int
    title: str
    year: int | None
    imdb_id: str | None
    tmdb_id: int | None
    movielens_id: int | None
    half_stars: int | None
    at: datetime | None

    @property
    def shown(self) -> str:
        known = self.imdb_id or self.tmdb_id or self.movielens_id
        return f"{self.title or known}{f' ({self.year})' if self.year else ''}"[:LONGEST_SHOWN]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A row of which nothing came, and why."""

    line: int
    shown: str
    reason: str


@dataclass(frozen=True, slots=True)
class History:
    """`contents` is what rows without a rating say; None where there are none of them."""

    source: Source
    contents: Contents | None
    rows: list[Row]
    skipped: list[Skipped]


def read(text: str, source: Source | None, contents: Contents | None, now: datetime) -> History:
    """Raises InvalidHistory for a file that is too large, of no known layout, or not of `source`'s; and for a
    list that has films without a rating, where nobody says what it is for.
    """
    if len(text) > MAX_CHARACTERS:
        raise InvalidHistory(f"The file has more than {MAX_CHARACTERS} characters: send it in parts.")
    numbered = lines_of(text.removeprefix("\ufeff"))
    _, header = next(numbered, (0, []))
    columns = {plain(name): place for place, name in reversed(list(enumerate(header)))}
    source = source_of(columns, source)
    layout = LAYOUTS[source]
    if contents is None and columns.keys() & {*layout.watched}:
        contents = Contents.WATCHED
    reader = Reader(layout, columns, contents, now)
    history = History(source, contents, [], [])
    for line, values in numbered:
        if not any(value.strip() for value in values):
            continue
        if len(history.rows) + len(history.skipped) == MAX_ROWS:
            raise InvalidHistory(f"The file has more than {MAX_ROWS} rows: send it in parts.")
        row = reader.row(line, values)
        if isinstance(row, Row):
            history.rows.append(row)
        else:
            history.skipped.append(Skipped(line, ",".join(values)[:LONGEST_SHOWN], row))
    return history


def lines_of(text: str) -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV file, each with the line on which it begins."""
    first_line = text.partition("\n")[0]
    separator = max(",;\t", key=first_line.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error:
            raise InvalidHistory(f"Line {line} is not CSV.") from None
        # The csv module's own limit is one for the whole process, and the loaders of data sets lift it.
        if any(len(value) > LONGEST_VALUE for value in row):
            raise InvalidHistory(f"Line {line} has a value of more than {LONGEST_VALUE} characters.")
        yield line, row


def plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def source_of(columns: dict[str, int], source: Source | None) -> Source:
    of_layout = [each for each, layout in LAYOUTS.items() if layout.mark in columns]
    if not of_layout or source not in (None, *of_layout):
        raise InvalidHistory(
            f"The header is not that of {'an export of ' + source.title() if source else 'a known export'}: "
            "ratings, diary, watched, watchlist and likes of Letterboxd, ratings and lists of IMDb, ratings, "
            "history and lists of Trakt, and ratings and wishlist of MovieLens can be read."
        )
    return source or of_layout[0]


@dataclass(slots=True)
class Reader:
    layout: Layout
    columns: dict[str, int]
    contents: Contents | None
    now: datetime
    member: str | None = None  # of a data set's layout, which may have many

    def row(self, line: int, values: list[str]) -> Row | str:
        """The film of a row, or the reason why there is none."""

        def value(*names: str) -> str:
            places = (self.columns[name] for name in names if name in self.columns)
            found = (values[place].strip() for place in places if place < len(values))
            return next(filter(None, found), "")

        layout = self.layout
        if plain(value(layout.kind)) not in FILMS:
            return f"It is no film ({value(layout.kind)[:LONGEST_SHOWN]})."
        if self.member not in (None, value("userid")):
            raise InvalidHistory(f"Line {line} is of another member than those before: send one's own rows.")
        self.member = value("userid")
        rating = value(*layout.rating)
        half_stars = half_stars_of(rating, layout.half_stars_per_unit)
        if half_stars is None and rating:
            return f"{rating[:LONGEST_SHOWN]} is not a rating of the scale."
        if half_stars is None and self.contents is None:
            if self.columns.keys() & {*layout.listed} or not self.columns.keys() & {*layout.rating}:
                raise InvalidHistory(NOT_TOLD)
            return "It has no rating."
        ids = {kind: value(name) for kind, name in layout.ids.items()}
        year = number(value("year"))
        found = Row(
            line=line,
            title=value(layout.title),
            year=year,
            imdb_id=imdb_id_of(ids.get("imdb_id", "")),
            tmdb_id=number(ids.get("tmdb_id", "")),
            movielens_id=number(ids.get("movielens_id", "")),
            half_stars=half_stars,
            at=time_of(value(*layout.dates), self.now),
        )
        return found if found.shown != "None" else "It has neither a title nor an id."


def half_stars_of(rating: str, per_unit: int) -> int | None:
    try:
        half_stars = float(rating.replace(",", ".")) * per_unit
    except ValueError:
        return None
    return int(half_stars) if half_stars in range(1, MAX_HALF_STARS + 1) else None


def number(text: str) -> int | None:
    """A positive whole number, also one that a spreadsheet wrote as `862.0`."""
    digits = text.removesuffix(".0")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > len(str(LARGEST_ID)):
        return None
    return int(digits) if 0 < int(digits) < LARGEST_ID else None


def imdb_id_of(text: str) -> str | None:
    digits = number(text.lower().removeprefix("tt"))
    return None if digits is None else f"tt{digits:07d}"


def time_of(text: str, now: datetime) -> datetime | None:
    """A day, a time, or seconds since 1970; not after now. None for what is none of them."""
    try:
        seconds = number(text)
        time = datetime.fromisoformat(text) if seconds is None else datetime.fromtimestamp(seconds, UTC)
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return min(time, now)
