"""What members have rated and watched elsewhere: CSV exports of Letterboxd, IMDb, Trakt and MovieLens, read.

A layout is known by its header. Columns that are not named here are not looked at.
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


class Source(enum.StrEnum):
    LETTERBOXD = "LETTERBOXD"
    IMDB = "IMDB"
    TRAKT = "TRAKT"
    MOVIELENS = "MOVIELENS"


class InvalidHistory(Exception):
    """A file that cannot be taken at all; the message is for the caller."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Names of columns: lower case, without what is no letter or digit; of several the first one counts."""

    mark: str  # a column that no other layout has
    rating: tuple[str, ...] = ("rating",)
    half_stars_per_unit: int = 2
    title: str = "title"
    kind: str = "type"
    ids: dict[str, str] = field(default_factory=dict)
    dates: tuple[str, ...] = ()
    watched: tuple[str, ...] = ()  # with one of these columns, a film without a rating was watched


LAYOUTS = {
    # ratings.csv, reviews.csv and diary.csv; watched.csv has no ratings.
    Source.LETTERBOXD: Layout(
        mark="letterboxduri", title="name", dates=("date", "watcheddate"), watched=("letterboxduri",)
    ),
    Source.IMDB: Layout(
        mark="const",
        rating=("yourrating", "yourated"),
        half_stars_per_unit=1,
        kind="titletype",
        ids={"imdb_id": "const"},
        dates=("daterated", "created"),
    ),
    Source.TRAKT: Layout(
        mark="traktid",
        half_stars_per_unit=1,
        ids={"imdb_id": "imdbid", "tmdb_id": "tmdbid"},
        dates=("ratedat", "watchedat", "lastwatchedat"),
        watched=("watchedat", "lastwatchedat"),
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
    """A film that a member has rated, or, without `half_stars`, watched."""

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
    source: Source
    rows: list[Row]
    skipped: list[Skipped]


def read(text: str, source: Source | None, now: datetime) -> History:
    """Raises InvalidHistory for a file that is too large or of no known layout, or not of `source`'s."""
    if len(text) > MAX_CHARACTERS:
        raise InvalidHistory(f"The file has more than {MAX_CHARACTERS} characters: send it in parts.")
    numbered = lines_of(text.removeprefix("\ufeff"))
    _, header = next(numbered, (0, []))
    columns = {plain(name): place for place, name in reversed(list(enumerate(header)))}
    source = source_of(columns, source)
    reader = Reader(LAYOUTS[source], columns, now)
    history = History(source, [], [])
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
            "ratings, diary and watched of Letterboxd, ratings of IMDb, ratings and history of Trakt, and "
            "ratings of MovieLens can be read."
        )
    found = source or of_layout[0]
    layout = LAYOUTS[found]
    if not any(name in columns for name in (*layout.rating, *layout.watched)):
        raise InvalidHistory("The file has neither ratings nor what was watched.")
    return found


@dataclass(slots=True)
class Reader:
    layout: Layout
    columns: dict[str, int]
    now: datetime
    member: str | None = None  # of a data set's layout, which may have many

    def row(self, line: int, values: list[str]) -> Row | str:
        """The film of a row, or the reason why there is none."""

        def value(*names: str) -> str:
            places = (self.columns[name] for name in names if name in self.columns)
            return next((values[place].strip() for place in places if place < len(values)), "")

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
        if half_stars is None and not any(name in self.columns for name in layout.watched):
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
