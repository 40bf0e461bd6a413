"""Load TMDB metadata from Kaggle: "The Movies Dataset", "TMDB 5000" and "TMDB Movies Dataset" (v11).

All files are optional. Movies are matched by TMDB or IMDb id, which MovieLens' links provide, else by title
and year. TMDB's values take precedence over stored ones, and new movies are added. Adult movies are loaded
only on request.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from recommender.progress import Progress
from seeds.files import cells
from seeds.files.archives import csv_rows, find, open_source
from seeds.files.report import Report, SourceError, quiet
from seeds.movies import Movie, merge
from seeds.store.dataset import record_dataset, transaction
from seeds.store.movies import store_movies
from seeds.tmdb_rows import FILES, Row, Source, is_adult, movie

NOT_AN_ID = "the id is not a number"
SAME_ID = "the id of an earlier movie with other values"
REPEATED = "a repeated row"
NO_SUCH_MOVIE = "{} of an unknown movie"


@dataclass(frozen=True, slots=True)
class Addition:
    """Credits or keywords of a movie from a separate file."""

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
    """Load the TMDB files of a folder or zip. Loading them again changes nothing.

    adult: also load adult movies.

    Raises:
        SourceError: none of the files is found.
        UnusableRowError: a row is invalid and `strict` is on; nothing has been stored.
    """
    report = Report(dataset="tmdb", strict=strict)
    movies, additions = read_tmdb(open_source(source), report, progress, adult=adult)
    with transaction(conn_url, progress) as connection:
        rows = connection.execute(
            "SELECT tmdb_id, title, year FROM movies WHERE tmdb_id IS NOT NULL"
        ).fetchall()
        known = {tmdb_id: Movie(title, year=year, tmdb_id=tmdb_id) for tmdb_id, title, year in rows}
        completed = list(complete(movies, additions, known))
        stored = store_movies(connection, completed, authority=True, progress=progress)
        report.movies = stored.count
        record_dataset(connection, report.dataset, (len(set(stored.movie_ids)), 0, 0))
    return report


def read_tmdb(
    source: Traversable, report: Report, progress: Progress, *, adult: bool = False
) -> tuple[dict[int, Movie], dict[int, list[Addition]]]:
    """Read movies, and additions from separate files, both by TMDB id.

    Raises SourceError if none of the files is found.
    """
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
    report.notes.extend(f"{name} is missing" for name in _missing([kind for kind, _ in found]))
    return movies, additions


def _missing(found: list[Source]) -> list[str]:
    """Missing files of the data sets to which the found files belong."""
    names = {kind.name for kind in found}
    beside = {name for kind in found for name in kind.beside}
    return sorted(beside - names)


def _rows(file: Traversable, id_column: str, report: Report) -> Iterator[tuple[int, Row]]:
    """Yield (TMDB id, row), each id once. Invalid and repeated rows are reported."""
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
    if read := movie(tmdb_id, row):
        movies[tmdb_id] = merge(movies[tmdb_id], read, authority=False) if tmdb_id in movies else read


def complete(
    movies: dict[int, Movie], additions: dict[int, list[Addition]], known: dict[int, Movie]
) -> Iterator[Movie]:
    """Yield the movies with their additions, then the `known` movies that have only additions.

    Additions of unknown movies are reported.
    """
    for tmdb_id in (*movies, *(tmdb_id for tmdb_id in additions if tmdb_id not in movies)):
        completed = movies.get(tmdb_id) or known.get(tmdb_id)
        for addition in additions.get(tmdb_id, ()):
            if completed is None:
                addition.row.skip(NO_SUCH_MOVIE.format(addition.what))
            else:
                completed = merge(completed, replace(completed, **addition.facts), authority=False)
        if completed is not None:
            yield completed
