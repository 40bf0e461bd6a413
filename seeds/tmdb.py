"""TMDB's facts from Kaggle's extracts: "The Movies Dataset" and "TMDB 5000", as far as their files are there.

Films are joined by TMDB or IMDb id, which MovieLens' links bring, else by title and year. TMDB's facts go
before those stored; films not stored yet are added.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from seeds.dataset import record_dataset, transaction
from seeds.files import csv_rows, find, open_source
from seeds.film_store import store_films
from seeds.films import GENRE_NAMES, Credit, Film, merge, titles_from
from seeds.nested import names, nested
from seeds.report import Progress, Report, SourceError, quiet

LEADING_CAST = 15  # names taken from a cast, which may have hundreds
NO_LANGUAGE = {"xx"}
LANGUAGES = {"cn": "zh"}  # TMDB's own code for Cantonese
NO_OVERVIEW = {"no overview", "no overview found.", "no movie overview available."}

NOT_AN_ID = "the id is not a number"
NO_TITLE = "no title"
SAME_ID = "more about an earlier film, in other words"
REPEATED = "the same row again"
ADULT = "an adult film"
NO_SUCH_FILM = "{} of a film that is not known"
LEFT_EMPTY = "the {} cannot be read and is left empty"


@dataclass(frozen=True, slots=True)
class Row:
    """A row about one film, and what it says of it."""

    file: str
    line: int
    values: dict[str, str]
    report: Report

    def get(self, name: str, parse: Callable[[str], Any]) -> Any:
        """The field, or None where it is empty or, after a note in the report, unreadable."""
        text = self.values.get(name, "").strip()
        if not text:
            return None
        try:
            return parse(text)
        except ValueError:
            self.report.put_aside(LEFT_EMPTY.format(name), self.file, self.line, text)
            return None

    @property
    def text(self) -> str:
        return ",".join(self.values.values())

    def skip(self, reason: str) -> None:
        self.report.skip(reason, self.file, self.line, self.text)


@dataclass(frozen=True, slots=True)
class Addition:
    """Credits or keywords that stand in a file of their own."""

    what: str
    row: Row
    facts: dict[str, Any]


def load_tmdb(
    conn_url: str, source: str | Path, *, strict: bool = False, progress: Progress = quiet
) -> Report:
    """Load the TMDB files of a folder or zip; a second time changes nothing.

    Raises:
        SourceError: none of the files is there.
        UnusableRowError: a row cannot be used and `strict` is on; nothing has been stored.
    """
    report = Report(dataset="tmdb", strict=strict)
    films, additions = read_tmdb(open_source(source), report, progress)
    with transaction(conn_url, progress) as connection:
        rows = connection.execute(
            "SELECT tmdb_id, title, year FROM movies WHERE tmdb_id IS NOT NULL"
        ).fetchall()
        known = {tmdb_id: Film(title, year=year, tmdb_id=tmdb_id) for tmdb_id, title, year in rows}
        whole = list(complete(films, additions, known))
        stored = store_films(connection, whole, authority=True, progress=progress)
        report.films = stored.count
        record_dataset(connection, report.dataset, (len(set(stored.movie_ids)), 0, 0))
    return report


def read_tmdb(
    source: Traversable, report: Report, progress: Progress
) -> tuple[dict[int, Film], dict[int, list[Addition]]]:
    """Films and what else is said of films, both by TMDB id."""
    films: dict[int, Film] = {}
    additions: dict[int, list[Addition]] = {}
    found = False
    for name, id_column, what, read in FILES:
        progress(f"reading {name}", 0.0)
        if (file := find(source, name)) is None:
            report.notes.append(f"{name} is not there")
            continue
        found = True
        for tmdb_id, row in _rows(file, id_column, report):
            if what is None or read is None:
                _take_film(films, tmdb_id, row)
            else:
                additions.setdefault(tmdb_id, []).append(Addition(what, row, read(row)))
        progress(f"reading {name}", 1.0)
    if not found:
        raise SourceError(f"{source} has none of {', '.join(name for name, *_ in FILES)}")
    return films, additions


def _rows(file: Traversable, id_column: str, report: Report) -> Iterator[tuple[int, Row]]:
    """(TMDB id, row), each id once."""
    seen: dict[int, int] = {}
    for line, values in csv_rows(file, (id_column,), report):
        row = Row(str(file), line, values, report)
        if not values[id_column].strip().isdecimal():
            row.skip(NOT_AN_ID)
            continue
        tmdb_id, digest = int(values[id_column]), hash(row.text)
        if tmdb_id not in seen:
            seen[tmdb_id] = digest
            yield tmdb_id, row
        elif seen[tmdb_id] == digest:
            report.put_aside(REPEATED, str(file), line, row.text)
        else:
            row.skip(SAME_ID)


def _take_film(films: dict[int, Film], tmdb_id: int, row: Row) -> None:
    if row.values.get("adult", "").strip() == "True":
        row.report.put_aside(ADULT, row.file, row.line, row.text)
    elif film := _film(tmdb_id, row):
        films[tmdb_id] = merge(films[tmdb_id], film, authority=False) if tmdb_id in films else film


def _film(tmdb_id: int, row: Row) -> Film | None:
    title = row.get("title", str) or row.get("original_title", str)
    if not title:
        row.skip(NO_TITLE)
        return None
    released = row.get("release_date", date.fromisoformat)
    vote_count = row.get("vote_count", _whole)
    return Film(
        title=title,
        original_title=row.get("original_title", str),
        year=released.year if released else None,
        release_date=released,
        runtime_minutes=row.get("runtime", _minutes),
        original_language=row.get("original_language", _language),
        countries=row.get("production_countries", _countries) or (),
        genres=tuple(GENRE_NAMES.get(name, name) for name in row.get("genres", names) or ()),
        overview=row.get("overview", _overview),
        keywords=row.get("keywords", names) or (),
        collection=next(iter(row.get("belongs_to_collection", names) or ()), None),
        poster_path=row.get("poster_path", str),
        popularity=row.get("popularity", _finite),
        vote_average=row.get("vote_average", _finite) if vote_count else None,  # 0 of 0 votes says nothing
        vote_count=vote_count,
        tmdb_id=tmdb_id,
        imdb_id=row.get("imdb_id", _imdb_id),
        titles=titles_from("TMDB", title, row.get("original_title", str)),
    )


def _read_credits(row: Row) -> dict[str, Any]:
    crew = row.get("crew", nested) or ()
    cast = sorted(row.get("cast", nested) or (), key=lambda entry: int(entry.get("order") or 0))
    return {
        "directors": tuple(
            dict.fromkeys(_credits(entry for entry in crew if entry.get("job") == "Director"))
        ),
        "cast": tuple(_credits(cast))[:LEADING_CAST],
    }


def _read_keywords(row: Row) -> dict[str, Any]:
    return {"keywords": row.get("keywords", names) or ()}


# name, column of TMDB's id, and, of what is only about films, what it is and how it is read
FILES: tuple[tuple[str, str, str | None, Callable[[Row], dict[str, Any]] | None], ...] = (
    ("movies_metadata.csv", "id", None, None),
    ("tmdb_5000_movies.csv", "id", None, None),
    ("credits.csv", "id", "credits", _read_credits),
    ("tmdb_5000_credits.csv", "movie_id", "credits", _read_credits),
    ("keywords.csv", "id", "keywords", _read_keywords),
)


def complete(
    films: dict[int, Film], additions: dict[int, list[Addition]], known: dict[int, Film]
) -> Iterator[Film]:
    """The films with what else is said of them, then those of which nothing else is said."""
    for tmdb_id in (*films, *(tmdb_id for tmdb_id in additions if tmdb_id not in films)):
        film = films.get(tmdb_id) or known.get(tmdb_id)
        for addition in additions.get(tmdb_id, ()):
            if film is None:
                addition.row.skip(NO_SUCH_FILM.format(addition.what))
            else:
                film = merge(film, replace(film, **addition.facts), authority=False)
        if film is not None:
            yield film


def _credits(entries: Iterable[dict[str, Any]]) -> Iterator[Credit]:
    for entry in entries:
        if name := str(entry.get("name") or "").strip():
            yield Credit(name, str(entry.get("character") or "").strip() or None, entry.get("id") or None)


def _whole(text: str) -> int:
    return int(_finite(text))


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _minutes(text: str) -> int | None:
    """TMDB writes 0 for an unknown runtime."""
    minutes = _whole(text)
    if not 0 <= minutes < 1 << 15:
        raise ValueError(text)
    return minutes or None


def _language(text: str) -> str | None:
    return None if text in NO_LANGUAGE else LANGUAGES.get(text, text)


def _overview(text: str) -> str | None:
    return None if text.casefold() in NO_OVERVIEW else text


def _imdb_id(text: str) -> str:
    if not re.fullmatch(r"tt\d+", text):
        raise ValueError(text)
    return text


def _countries(text: str) -> tuple[str, ...]:
    return tuple(str(entry["iso_3166_1"]) for entry in nested(text) if entry.get("iso_3166_1"))
