"""Parse the rows of TMDB's extracts."""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from seeds import tmdb_details
from seeds.files import cells
from seeds.files.nested_json import countries, names, nested
from seeds.files.report import Report
from seeds.movies import GENRE_NAMES, Credit, Movie, titles_from

LEADING_CAST = 15  # most names taken from a cast
MAX_DIRECTORS = 20
NO_LANGUAGE = {"xx"}
LANGUAGES = {"cn": "zh"}  # TMDB's own code for Cantonese
NO_OVERVIEW = {"no overview", "no overview found.", "no movie overview available."}
MAX_TITLE = 500
MAX_TAGLINE = 500
MAX_ADDRESS = 300

TITLES = ("title", "original_title")  # a movie may be called Null

NO_TITLE = "no title"
ADULT = "an adult movie"
ADULT_UNKNOWN = "the adult flag is invalid; the movie is taken for an adult one"
LEFT_EMPTY = "the {} is invalid and left empty"
FILE_ORDER = "the order of the cast is invalid; the order of the file is used"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of one movie, with its place in the file."""

    file: str
    line: int
    values: dict[str, str]
    report: Report

    def get(self, name: str, parse: Callable[[str], Any]) -> Any:
        """Parse a field; None if it is empty or invalid. An invalid one is reported."""
        text = self.values.get(name, "").strip()
        if not text or (text in cells.MISSING and name not in TITLES):
            return None
        try:
            return parse(text)
        except (ValueError, OverflowError):
            self.put_aside(LEFT_EMPTY.format(name), text)
            return None

    @property
    def text(self) -> str:
        return ",".join(self.values.values())

    def skip(self, reason: str) -> None:
        self.report.skip(reason, self.file, self.line, self.text)

    def put_aside(self, reason: str, text: str | None = None) -> None:
        self.report.put_aside(reason, self.file, self.line, self.text if text is None else text)


@dataclass(frozen=True, slots=True)
class Source:
    """A kind of file of TMDB's extracts.

    name: `*` matches any characters. what: the content of a file that only adds to movies, else None. read:
    parses its rows.
    """

    name: str
    id_column: str
    what: str | None = None
    read: Callable[[Row], dict[str, Any]] | None = field(default=None, repr=False)
    beside: tuple[str, ...] = ()  # files of the same data set


def is_adult(row: Row) -> bool:
    """Whether the movie is an adult one; also if the flag is invalid. Both are reported."""
    text = row.values.get("adult", "").strip()
    if text in cells.MISSING:
        return False
    try:
        adult = cells.truth(text)
    except cells.CellError:
        row.put_aside(ADULT_UNKNOWN)
        return True
    if adult:
        row.put_aside(ADULT)
    return adult


def movie(tmdb_id: int, row: Row) -> Movie | None:
    """Make a movie; None for a row without a title, which is reported."""
    original = row.get("original_title", _title)
    title = row.get("title", _title) or original
    if not title:
        row.skip(NO_TITLE)
        return None
    released = row.get("release_date", cells.day)
    vote_count = row.get("vote_count", _count)
    genres = tuple(GENRE_NAMES.get(name, name) for name in row.get("genres", names) or ())
    localized = row.get("translations", tmdb_details.localized_titles) or ()
    return Movie(
        title=title,
        original_title=original,
        year=released.year if released else row.get("release_year", _year),
        release_date=released,
        runtime_minutes=row.get("runtime", _minutes),
        original_language=row.get("original_language", _language),
        countries=row.get("production_countries", countries) or (),
        genres=genres,
        overview=row.get("overview", _overview),
        keywords=row.get("keywords", names) or (),
        collection=next(iter(row.get("belongs_to_collection", names) or ()), None),
        poster_path=row.get("poster_path", _address),
        tagline=row.get("tagline", _tagline),
        backdrop_path=row.get("backdrop_path", _address),
        trailer_url=row.get("videos", tmdb_details.trailer_url),
        certification=row.get("release_dates", tmdb_details.certification)
        or row.get("certification", tmdb_details.certification),
        localized_titles=localized,
        popularity=row.get("popularity", _finite),
        vote_average=row.get("vote_average", _average) if vote_count else None,  # 0 without votes
        vote_count=vote_count,
        tmdb_id=tmdb_id,
        imdb_id=row.get("imdb_id", cells.imdb_id),
        directors=_people(row, "director"),
        cast=_people(row, "cast"),
        titles=titles_from("TMDB", title, original, *(named for _, named in localized)),
    )


def _people(row: Row, column: str) -> tuple[Credit, ...]:
    """Names separated by commas, or objects with a name, in files that have the whole movie in one row."""
    limit = MAX_DIRECTORS if column == "director" else LEADING_CAST
    text = row.values.get(column, "").strip()
    parse = _object_names if text[:1] == "[" else cells.plain_list
    return tuple(Credit(name) for name in (row.get(column, parse) or ())[:limit])


def _object_names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (cells.name(entry.get("name")) for entry in nested(text))))


def _credits_of(row: Row) -> dict[str, Any]:
    crew = row.get("crew", nested) or ()
    cast = row.get("cast", nested) or ()
    try:
        cast = sorted(cast, key=lambda entry: _order(entry.get("order")))
    except ValueError:
        row.put_aside(FILE_ORDER)
    directors = dict.fromkeys(_credits(row, (entry for entry in crew if entry.get("job") == "Director")))
    return {"directors": tuple(directors)[:MAX_DIRECTORS], "cast": tuple(_credits(row, cast))[:LEADING_CAST]}


def _order(value: object) -> float:
    if value in (None, ""):
        return 0
    return cells.number(str(value))


def _keywords_of(row: Row) -> dict[str, Any]:
    return {"keywords": row.get("keywords", names) or ()}


def _credits(row: Row, entries: Iterable[dict[str, Any]]) -> Iterator[Credit]:
    for entry in entries:
        try:
            name, character = cells.name(entry.get("name")), _character(entry.get("character"))
        except cells.CellError:
            row.put_aside(LEFT_EMPTY.format("name of a person"), str(entry.get("name"))[:200])
            continue
        if name:
            yield Credit(name, character, _person_id(entry.get("id")))


def _character(value: object) -> str | None:
    return cells.name(value[: cells.MAX_NAME] if isinstance(value, str) else value) or None


def _person_id(value: object) -> int | None:
    try:
        return cells.row_id(str(value))
    except cells.CellError:
        return None


def _title(text: str) -> str:
    plain = cells.one_line(text[: 2 * MAX_TITLE])
    if len(plain) > MAX_TITLE:
        raise ValueError(cells.TOO_LONG)
    return plain


def _address(text: str) -> str:
    if len(text) > MAX_ADDRESS or not re.fullmatch(r"/[\w.%/-]+|https?://\S+", text):
        raise ValueError(text)
    return text


def _count(text: str) -> int:
    count = int(cells.number(text))
    if count < 0:
        raise ValueError(text)
    return count


def _finite(text: str) -> float:
    return cells.number(text)


def _average(text: str) -> float:
    average = cells.number(text)
    if not 0 <= average <= 10:  # noqa: PLR2004 - TMDB's scale
        raise ValueError(text)
    return average


def _minutes(text: str) -> int | None:
    """A runtime; None for 0, which TMDB writes for an unknown one."""
    minutes = math.floor(cells.number(text))
    if not 0 <= minutes < 1 << 15:
        raise ValueError(text)
    return minutes or None


def _year(text: str) -> int:
    year = cells.whole_number(text)
    if not 1800 < year < 2200:  # noqa: PLR2004 - of movies
        raise ValueError(text)
    return year


def _language(text: str) -> str | None:
    if not re.fullmatch("[a-z]{2,3}", text):
        raise ValueError(text)
    return None if text in NO_LANGUAGE else LANGUAGES.get(text, text)


def _tagline(text: str) -> str | None:
    plain = cells.one_line(text)
    if len(plain) > MAX_TAGLINE:
        raise ValueError(cells.TOO_LONG)
    return plain or None


def _overview(text: str) -> str | None:
    return None if text.casefold() in NO_OVERVIEW else cells.text(text)


_DATASET = ("credits.csv", "keywords.csv")
FILES = (
    Source("movies_metadata.csv", "id", beside=_DATASET),
    Source("tmdb_5000_movies.csv", "id", beside=("tmdb_5000_credits.csv",)),
    Source("TMDB_movie_dataset_v*.csv", "id"),
    Source("TMDB_all_movies.csv", "id"),
    Source("tmdb-movies.csv", "id"),
    Source("credits.csv", "id", "credits", _credits_of),
    Source("tmdb_5000_credits.csv", "movie_id", "credits", _credits_of),
    Source("keywords.csv", "id", "keywords", _keywords_of),
)
