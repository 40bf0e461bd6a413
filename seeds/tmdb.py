"""TMDB's facts from Kaggle's extracts: "The Movies Dataset", "TMDB 5000" and "TMDB Movies Dataset" (v11).

Any of their files may be missing. Movies are joined by TMDB or IMDb id, which MovieLens' links bring, else by
title and year. TMDB's facts go before those stored; movies not stored yet are added. Adult movies stay out
unless asked for.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from seeds.files import cells
from seeds.files.archives import csv_rows, find, open_source
from seeds.files.report import Progress, Report, SourceError, quiet
from seeds.movies import Movie, merge
from seeds.store.dataset import record_dataset, transaction
from seeds.store.movies import store_movies
from seeds.tmdb_rows import FILES, Row, Source, is_adult, movie

NOT_AN_ID = "the id is not a number"
SAME_ID = "more about an earlier movie, in other words"
REPEATED = "the same row again"
NO_SUCH_MOVIE = "{} of a movie that is not known"


@dataclass(frozen=True, slots=True)
class Addition:
    """Credits or keywords that stand in a file of their own."""

    what: str
    row: Row
    facts: dict[str, Any]


def load_tmdb(
    conn_url: str,
    source: str | Path,
    *,
    strict: bool = False,
    adult: bool = False,
    progress: Progress = quiet,
) -> Report:
    """Load the TMDB files of a folder or zip; a second time changes nothing. adult: with adult movies.

    Raises:
        SourceError: none of the files is there.
        UnusableRowError: a row cannot be used and `strict` is on; nothing has been stored.
    """
    report = Report(dataset="tmdb", strict=strict)
    movies, additions = read_tmdb(open_source(source), report, progress, adult=adult)
    with transaction(conn_url, progress) as connection:
        rows = connection.execute(
            "SELECT tmdb_id, title, year FROM movies WHERE tmdb_id IS NOT NULL"
        ).fetchall()
        known = {tmdb_id: Movie(title, year=year, tmdb_id=tmdb_id) for tmdb_id, title, year in rows}
        whole = list(complete(movies, additions, known))
        stored = store_movies(connection, whole, authority=True, progress=progress)
        report.movies = stored.count
        record_dataset(connection, report.dataset, (len(set(stored.movie_ids)), 0, 0))
    return report


def read_tmdb(
    source: Traversable, report: Report, progress: Progress, *, adult: bool = False
) -> tuple[dict[int, Movie], dict[int, list[Addition]]]:
    """Movies and what else is said of movies, both by TMDB id."""
    movies: dict[int, Movie] = {}
    additions: dict[int, list[Addition]] = {}
    adults: set[int] = set()
    found = [(kind, file) for kind in FILES if (file := find(source, kind.name)) is not None]
    if not found:
        raise SourceError(f"{source} has none of {', '.join(kind.name for kind in FILES)}")
    for kind, file in found:
        progress(f"reading {file.name}", 0.0)
        for tmdb_id, row in _rows(file, kind.id_column, report):
            if kind.what is not None and kind.read is not None:
                additions.setdefault(tmdb_id, []).append(Addition(kind.what, row, kind.read(row)))
            elif not adult and (tmdb_id in adults or is_adult(row)):
                adults.add(tmdb_id)
                movies.pop(tmdb_id, None)
            else:
                _take_movie(movies, tmdb_id, row)
        progress(f"reading {file.name}", 1.0)
    report.notes.extend(f"{name} is not there" for name in _missing([kind for kind, _ in found]))
    return movies, additions


def _missing(found: list[Source]) -> list[str]:
    """Files that belong to those found."""
    names = {kind.name for kind in found}
    beside = {name for kind in found for name in kind.beside}
    return sorted(beside - names)


def _rows(file: Traversable, id_column: str, report: Report) -> Iterator[tuple[int, Row]]:
    """(TMDB id, row), each id once."""
    seen: dict[int, int] = {}
    for line, values in csv_rows(file, (id_column,), report):
        row = Row(str(file), line, values, report)
        try:
            tmdb_id, digest = cells.row_id(values[id_column]), hash(row.text)
        except cells.CellError:
            row.skip(NOT_AN_ID)
            continue
        if tmdb_id not in seen:
            seen[tmdb_id] = digest
            yield tmdb_id, row
        elif seen[tmdb_id] == digest:
            report.put_aside(REPEATED, str(file), line, row.text)
        else:
            row.skip(SAME_ID)


def _take_movie(movies: dict[int, Movie], tmdb_id: int, row: Row) -> None:
    if said := movie(tmdb_id, row):
        movies[tmdb_id] = merge(movies[tmdb_id], said, authority=False) if tmdb_id in movies else said


def complete(
    movies: dict[int, Movie], additions: dict[int, list[Addition]], known: dict[int, Movie]
) -> Iterator[Movie]:
    """The movies with what else is said of them, then those of which nothing else is said."""
    for tmdb_id in (*movies, *(tmdb_id for tmdb_id in additions if tmdb_id not in movies)):
        whole = movies.get(tmdb_id) or known.get(tmdb_id)
        for addition in additions.get(tmdb_id, ()):
            if whole is None:
                addition.row.skip(NO_SUCH_MOVIE.format(addition.what))
            else:
                whole = merge(whole, replace(whole, **addition.facts), authority=False)
        if whole is not None:
            yield whole
