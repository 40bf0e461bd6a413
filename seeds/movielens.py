"""MovieLens in all its layouts: csv (latest, 20M and later), `.dat` (1M, 10M) and `u.*` (100K).

Members become users `movielens-<id>` without a password. Tags and the genome are not loaded.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from importlib.resources.abc import Traversable
from pathlib import Path

import numpy as np

from app.titles import parse_title, titles_in
from seeds.dataset import Dataset, store_dataset
from seeds.download import MOVIELENS, download_movielens
from seeds.files import csv_rows, find, open_source, separated_rows
from seeds.films import GENRE_NAMES, Film, titles_from
from seeds.rating_files import read_ratings
from seeds.rating_rows import RatingFormat
from seeds.report import Progress, Report, SourceError, quiet

NO_GENRES = {"(no genres listed)", "unknown", ""}
# The order of the flags in u.item; u.genre says it too, but is missing from some copies.
GENRES_100K = (
    "unknown", "Action", "Adventure", "Animation", "Children", "Comedy", "Crime", "Documentary", "Drama",
    "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip

NOT_AN_ID = "the id is not a number"
NO_TITLE = "no title"
SAME_ID = "the id of an earlier film"
LINK_WITHOUT_FILM = "a link of a film that is not among the films"

Films = dict[int, Film]


def load_movielens(
    conn_url: str,
    source: str | Path,
    *,
    strict: bool = False,
    progress: Progress = quiet,
    data_dir: Path = Path(".data"),
) -> Report:
    """Load a MovieLens data set; a second time changes nothing.

    `source` is a folder, a zip, or a name such as `ml-latest-small`, which is downloaded into `data_dir`.

    Raises:
        SourceError: the source cannot be had or is no MovieLens data set.
        UnusableRowError: a row cannot be used and `strict` is on; nothing has been stored.
    """
    path = Path(source)
    report = Report(dataset=path.name.removesuffix(".zip"), strict=strict)
    if str(source) in MOVIELENS and not path.exists():
        path = download_movielens(str(source), data_dir / "downloads", progress=progress)
    elif path.name in ("", ".", ".."):
        report.dataset = path.resolve().name
    return store_dataset(conn_url, read_movielens(open_source(path), report, progress), report, progress)


def read_movielens(source: Traversable, report: Report, progress: Progress) -> Dataset:
    if movies := find(source, "movies.csv"):
        films = dict(csv_films(movies, report))
        if links := find(source, "links.csv"):
            films = linked(films, links, report)
        ratings, layout = find(source, "ratings.csv"), RatingFormat(header=True)
    elif movies := find(source, "movies.dat"):
        films = dict(dat_films(movies, report))
        ratings, layout = find(source, "ratings.dat"), RatingFormat(separator="::", header=False)
    elif movies := find(source, "u.item"):
        films = dict(item_films(movies, find(source, "u.genre"), report))
        ratings, layout = find(source, "u.data"), RatingFormat(separator="\t", header=False)
    else:
        raise SourceError(f"{source} has no movies.csv, movies.dat or u.item: it is no MovieLens data set")
    if ratings is None:
        raise SourceError(f"{source} has {movies.name} but no ratings beside it")
    return Dataset(
        name=report.dataset,
        member_prefix="movielens-",
        films=list(films.values()),
        item_ids=np.fromiter(films, dtype=np.int64, count=len(films)),
        ratings=read_ratings(ratings, layout, report, progress),
        ratings_file=ratings,
    )


def genres_of(text: str) -> tuple[str, ...]:
    names = (name.strip() for name in text.split("|"))
    return tuple(GENRE_NAMES.get(name, name) for name in names if name not in NO_GENRES)


class FilmRows:
    """Checks what every list of films must have: a number of its own and a title."""

    def __init__(self, file: Traversable, report: Report) -> None:
        self._file, self._report = str(file), report
        self._seen: dict[int, str] = {}

    def accept(self, line: int, film_id: str, title: str, row: str) -> int | None:
        """The film's number, or None after the row has been reported."""
        number = int(film_id) if film_id.strip().isdecimal() else None
        if number is None:
            self._report.skip(NOT_AN_ID, self._file, line, row)
        elif not title.strip():
            self._report.skip(NO_TITLE, self._file, line, row)
        elif number in self._seen:
            put = self._report.put_aside if self._seen[number] == row else self._report.skip
            put(SAME_ID, self._file, line, row)
        else:
            self._seen[number] = row
            return number
        return None


def csv_films(file: Traversable, report: Report) -> Iterator[tuple[int, Film]]:
    rows = FilmRows(file, report)
    for line, row in csv_rows(file, ("movieId", "title", "genres"), report):
        number = rows.accept(line, row["movieId"], row["title"], ",".join(row.values()))
        if number is not None:
            yield number, _film(row["title"], row["genres"], number)


def dat_films(file: Traversable, report: Report) -> Iterator[tuple[int, Film]]:
    rows = FilmRows(file, report)
    for line, values in separated_rows(file, "::", 3, report):
        number = rows.accept(line, values[0], values[1], "::".join(values))
        if number is not None:
            yield number, _film(values[1], values[2], number)


def item_films(
    file: Traversable, genre_file: Traversable | None, report: Report
) -> Iterator[tuple[int, Film]]:
    """100K numbers its films in its own way, so they are known by title and year."""
    names = dict(enumerate(GENRES_100K))
    if genre_file is not None:
        for line, (name, at) in separated_rows(genre_file, "|", 2, report):
            if at.isdecimal():
                names[int(at)] = name
            else:
                report.skip(NOT_AN_ID, str(genre_file), line, f"{name}|{at}")
    rows = FilmRows(file, report)
    for line, values in separated_rows(file, "|", 5 + len(names), report):
        number = rows.accept(line, values[0], values[1], "|".join(values))
        if number is not None:
            genres = "|".join(names[at] for at, flag in enumerate(values[5:]) if flag == "1")
            film = _film(values[1], genres, None)
            released = _day(values[2])
            yield (
                number,
                replace(film, release_date=released if released and released.year == film.year else None),
            )


def _film(title: str, genres: str, movielens_id: int | None) -> Film:
    name, other, year = parse_title(title)
    return Film(
        title=name,
        original_title=other,
        year=year,
        genres=tuple(genre.replace("Children's", "Children") for genre in genres_of(genres)),
        movielens_id=movielens_id,
        titles=titles_from("MOVIELENS", *titles_in(title)),
    )


def _day(text: str) -> date | None:
    """The day of "14-Jul-1995"; the first of January stands for an unknown one."""
    try:
        day = datetime.strptime(text, "%d-%b-%Y").date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        return None
    return None if (day.day, day.month) == (1, 1) else day


def linked(films: Films, file: Traversable, report: Report) -> Films:
    """The films with the ids of IMDb and TMDB that links.csv has for them."""
    together: Films = dict(films)
    for line, row in csv_rows(file, ("movieId", "imdbId", "tmdbId"), report):
        film_id, imdb_id, tmdb_id = (row[name].strip() for name in ("movieId", "imdbId", "tmdbId"))
        if not all(value.isdecimal() or not value for value in (imdb_id, tmdb_id)) or not film_id.isdecimal():
            report.skip(NOT_AN_ID, str(file), line, ",".join(row.values()))
        elif (film := together.get(int(film_id))) is None:
            report.skip(LINK_WITHOUT_FILM, str(file), line, ",".join(row.values()))
        else:
            together[int(film_id)] = replace(
                film,
                imdb_id=imdb_title_id(imdb_id) if imdb_id else None,
                tmdb_id=int(tmdb_id) if tmdb_id else None,
            )
    return together


def imdb_title_id(number: str) -> str:
    return f"tt{int(number):07d}"
