"""Load MovieLens in all its layouts: CSV (latest, 20M and later), `.dat` (1M, 10M) and `u.*` (100K).

Kaggle's file names of the 20M are supported too, and "The Movies Dataset", which has MovieLens' ratings and
links with TMDB's metadata. Members become users `movielens-<id>` without a password. Tags and the genome are
not loaded.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import numpy as np

from recommender.progress import Progress
from seeds.files.archives import csv_rows, find, open_source, separated_rows
from seeds.files.cells import MISSING, CellError, imdb_id, one_line, row_id
from seeds.files.download import MOVIELENS, download_movielens
from seeds.files.rating_rows import RatingFormat
from seeds.files.ratings import read_ratings
from seeds.files.report import Report, SourceError, quiet
from seeds.movies import GENRE_NAMES, Movie, titles_from
from seeds.store.dataset import Dataset, store_dataset
from seeds.titles import MAX_TITLE, parse_title, titles_in
from seeds.tmdb import complete, read_tmdb

NO_GENRES = {"(no genres listed)", "unknown", ""}
# The order of the flags in u.item. It is also in u.genre, which some copies lack.
GENRES_100K = (
    "unknown", "Action", "Adventure", "Animation", "Children", "Comedy", "Crime", "Documentary", "Drama",
    "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip

NOT_AN_ID = "the id is not a number"
NO_TITLE = "no title"
NOT_A_GENRE = "an invalid genre is left out"
LONG_TITLE = "the title is too long"
SAME_ID = "the id of an earlier movie"
LINK_WITHOUT_MOVIE = "a link of an unknown movie"

MOVIES = ("movies.csv", "movie.csv")
LINKS = ("links.csv", "link.csv", "links_small.csv")
RATINGS = ("ratings.csv", "rating.csv", "ratings_small.csv")
TAGS = ("tags.csv", "tag.csv")
KAGGLE_20M = "movie.csv"
MAX_GENRES = 30
_GENRE = re.compile(r"[^\W\d_][\w &'/.-]{0,49}")

Movies = dict[int, Movie]
UNKNOWN = RatingFormat()
ParseId = Callable[[str], int]


def load_movielens(
    conn_url: str,
    source: str | Path,
    *,
    strict: bool = False,
    progress: Progress = quiet,
    data_dir: Path = Path(".data"),
    given: RatingFormat = UNKNOWN,
) -> Report:
    """Load a MovieLens data set. Loading it again changes nothing.

    `source` is a folder, a zip, or a name such as `ml-latest-small`, which is downloaded into `data_dir`.
    `given` has the columns and the order of dates of the rating file, if they are not those of MovieLens.

    Raises:
        SourceError: the source is missing or is not a MovieLens data set.
        UnusableRowError: a row is invalid and `strict` is on; nothing has been stored.
    """
    path = Path(source)
    report = Report(dataset=path.name.removesuffix(".zip"), strict=strict)
    if str(source) in MOVIELENS and not path.exists():
        path = download_movielens(str(source), data_dir / "downloads", progress=progress)
    elif path.name in ("", ".", ".."):
        report.dataset = path.resolve().name
    return store_dataset(
        conn_url, read_movielens(open_source(path), report, progress, given), report, progress
    )


def read_movielens(
    source: Traversable, report: Report, progress: Progress, given: RatingFormat = UNKNOWN
) -> Dataset:
    """Read the data set. One with Kaggle's file names (rating.csv, movie.csv) is ml-20m."""
    # A header may be missing only if the columns are named by their places.
    with_header = replace(given, header=None if given.given.given else True)
    if movies_file := find(source, *MOVIES):
        movies = dict(csv_movies(movies_file, report))
        if links := find(source, *LINKS):
            movies = linked(movies, links, report)
        if movies_file.name.startswith(KAGGLE_20M):
            report.dataset = "ml-20m"
        ratings, layout = find(source, *RATINGS), with_header
    elif movies_file := find(source, "movies.dat"):
        movies = dict(dat_movies(movies_file, report))
        ratings, layout = find(source, "ratings.dat"), replace(given, separator="::", header=False)
    elif movies_file := find(source, "u.item"):
        movies = dict(item_movies(movies_file, find(source, "u.genre"), report))
        ratings, layout = find(source, "u.data"), replace(given, separator="\t", header=False)
    elif (movies_file := find(source, "movies_metadata.csv")) and (links := find(source, *LINKS)):
        movies = _of_tmdb(source, links, report, progress)
        ratings, layout = find(source, *RATINGS), with_header
    else:
        raise SourceError(
            f"{source} has no movies.csv, movie.csv, movies.dat or u.item: it is not a MovieLens data set"
        )
    if ratings is None:
        raise SourceError(f"{source} has {movies_file.name} but no ratings beside it")
    return Dataset(
        name=report.dataset,
        member_prefix="movielens-",
        movies=list(movies.values()),
        item_ids=np.fromiter(movies, dtype=np.int64, count=len(movies)),
        ratings=read_ratings(ratings, layout, report, progress),
        ratings_file=ratings,
    )


def _of_tmdb(source: Traversable, links: Traversable, report: Report, progress: Progress) -> Movies:
    """Movies with TMDB's metadata and the ids of MovieLens' links."""
    facts, additions = read_tmdb(source, report, progress)
    whole = {movie.tmdb_id: movie for movie in complete(facts, additions, {})}
    by_imdb_id = {movie.imdb_id: movie for movie in whole.values() if movie.imdb_id is not None}
    movies: Movies = {}
    for number, link in linked_only(links, report).items():
        movie = by_imdb_id.get(link.imdb_id or "") if link.tmdb_id is None else whole.get(link.tmdb_id)
        if movie is not None:
            movies[number] = replace(movie, movielens_id=number, imdb_id=link.imdb_id or movie.imdb_id)
    return movies


def genres_of(text: str) -> tuple[str, ...]:
    """Split genres at `|`, and map them to MovieLens' names."""
    names = (name.strip() for name in text.split("|"))
    return tuple(GENRE_NAMES.get(name, name) for name in names if name not in NO_GENRES)


class MovieRows:
    """Validates the rows of a list of movies: a unique id and a title."""

    def __init__(self, file: Traversable, report: Report, number: ParseId = row_id) -> None:
        self._file, self._report, self._number = str(file), report, number
        self._seen: dict[int, str] = {}

    def accept(self, line: int, movie_id: str, title: str, row: str) -> int | None:
        """The movie's id; None for an invalid row, which is reported."""
        try:
            number = self._number(movie_id)
        except CellError:
            self._report.skip(NOT_AN_ID, self._file, line, row)
            return None
        if not one_line(title[: 2 * MAX_TITLE]):
            self._report.skip(NO_TITLE, self._file, line, row)
        elif len(title) > MAX_TITLE:
            self._report.skip(LONG_TITLE, self._file, line, row)
        elif number in self._seen:
            put = self._report.put_aside if self._seen[number] == row else self._report.skip
            put(SAME_ID, self._file, line, row)
        else:
            self._seen[number] = row
            return number
        return None

    def movie(self, line: int, title: str, genres: str, movielens_id: int | None) -> Movie:
        """Make a movie. Invalid genres are left out and reported."""
        found = tuple(genre.replace("Children's", "Children") for genre in genres_of(genres))
        good = tuple(genre for genre in found if _GENRE.fullmatch(genre))
        if len(good) < len(found):
            self._report.put_aside(NOT_A_GENRE, self._file, line, genres)
        name, other, year = parse_title(one_line(title))
        return Movie(
            title=name,
            original_title=other,
            year=year,
            genres=good[:MAX_GENRES],
            movielens_id=movielens_id,
            titles=titles_from("MOVIELENS", *titles_in(one_line(title))),
        )


def csv_movies(file: Traversable, report: Report, parse_id: ParseId = row_id) -> Iterator[tuple[int, Movie]]:
    rows = MovieRows(file, report, parse_id)
    for line, row in csv_rows(file, ("movieId", "title"), report):
        number = rows.accept(line, row["movieId"], row["title"], ",".join(row.values()))
        if number is not None:
            yield number, rows.movie(line, row["title"], row.get("genres", ""), number)


def dat_movies(file: Traversable, report: Report, parse_id: ParseId = row_id) -> Iterator[tuple[int, Movie]]:
    rows = MovieRows(file, report, parse_id)
    for line, values in separated_rows(file, "::", 3, report):
        number = rows.accept(line, values[0], values[1], "::".join(values))
        if number is not None:
            yield number, rows.movie(line, values[1], values[2], number)


def item_movies(
    file: Traversable, genre_file: Traversable | None, report: Report
) -> Iterator[tuple[int, Movie]]:
    """Read the movies of 100K. Its ids are not MovieLens ids, so the movies are matched by title and year."""
    names = dict(enumerate(GENRES_100K))
    if genre_file is not None:
        for line, (name, at) in separated_rows(genre_file, "|", 2, report):
            if at.isdecimal():
                names[int(at)] = name
            else:
                report.skip(NOT_AN_ID, str(genre_file), line, f"{name}|{at}")
    rows = MovieRows(file, report)
    for line, values in separated_rows(file, "|", 5 + len(names), report):
        number = rows.accept(line, values[0], values[1], "|".join(values))
        if number is not None:
            genres = "|".join(names[at] for at, flag in enumerate(values[5:]) if flag == "1")
            movie = rows.movie(line, values[1], genres, None)
            released = _day(values[2])
            yield (
                number,
                replace(movie, release_date=released if released and released.year == movie.year else None),
            )


def _day(text: str) -> date | None:
    """Parse a date such as "14-Jul-1995"; None for January 1, which stands for an unknown day."""
    try:
        day = datetime.strptime(text, "%d-%b-%Y").date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        return None
    return None if (day.day, day.month) == (1, 1) else day


def linked(movies: Movies, file: Traversable, report: Report, parse_id: ParseId = row_id) -> Movies:
    """Add the ids of IMDb and TMDB from the links to the movies."""
    completed: Movies = dict(movies)
    for line, number, link, text in _links(file, report, parse_id):
        if (movie := completed.get(number)) is None:
            report.skip(LINK_WITHOUT_MOVIE, str(file), line, text)
        else:
            completed[number] = replace(movie, imdb_id=link.imdb_id, tmdb_id=link.tmdb_id)
    return completed


def linked_only(file: Traversable, report: Report, parse_id: ParseId = row_id) -> Movies:
    """Movies of the links alone, without titles."""
    return {number: link for _, number, link, _ in _links(file, report, parse_id)}


def _links(file: Traversable, report: Report, parse_id: ParseId) -> Iterator[tuple[int, int, Movie, str]]:
    """Yield (line, movie id, movie with ids alone, text) of each row. Invalid ids are reported."""
    for line, row in csv_rows(file, ("movieId", "imdbId", "tmdbId"), report):
        text = ",".join(row.values())
        try:
            number = parse_id(row["movieId"])
        except CellError:
            report.skip(NOT_AN_ID, str(file), line, text)
            continue
        ids: dict[str, Any] = {}
        for name, field, parse in (("imdbId", "imdb_id", imdb_id), ("tmdbId", "tmdb_id", row_id)):
            if row[name].strip() in MISSING:
                continue
            try:
                ids[field] = parse(row[name])
            except CellError:
                report.skip(NOT_AN_ID, str(file), line, text)
        yield line, number, Movie(title="", **ids), text
