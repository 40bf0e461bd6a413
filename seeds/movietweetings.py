"""Load MovieTweetings: ratings from 0 to 10 from tweets, movies by IMDb id.

Members become users `movietweetings-<id>`. Their Twitter ids in users.dat are not read.
"""

from dataclasses import replace
from importlib.resources.abc import Traversable
from pathlib import Path

import numpy as np

from recommender.progress import Progress
from seeds.files.archives import find, open_source, separated_rows
from seeds.files.cells import imdb_id
from seeds.files.rating_rows import RatingFormat
from seeds.files.ratings import read_ratings
from seeds.files.report import Report, SourceError, quiet
from seeds.movielens import MovieRows
from seeds.movies import Movie, titles_from
from seeds.store.dataset import Dataset, store_dataset

FORMAT = RatingFormat(separator="::", header=False, half_stars_per_unit=1)


def load_movietweetings(
    conn_url: str,
    source: str | Path,
    *,
    strict: bool = False,
    progress: Progress = quiet,
    given: RatingFormat = FORMAT,
) -> Report:
    """Load a folder or zip of MovieTweetings. Loading it again changes nothing.

    A rating of 0 is off the scale, which begins at half a star; the row is skipped and counted. `given` has
    the columns and the order of dates of the rating file, if they are not those of MovieTweetings.

    Raises:
        SourceError: the source is missing or is not MovieTweetings.
        UnusableRowError: a row is invalid and `strict` is on; nothing has been stored.
    """
    report = Report(dataset="movietweetings", strict=strict)
    return store_dataset(
        conn_url, read_movietweetings(open_source(source), report, progress, given), report, progress
    )


def read_movietweetings(
    source: Traversable, report: Report, progress: Progress, given: RatingFormat = FORMAT
) -> Dataset:
    """Read the data set. Raises SourceError if a file is missing."""
    movies_file = find(source, "latest_movies.dat", "movies.dat")
    ratings = find(source, "latest_ratings.dat", "ratings.dat")
    if movies_file is None or ratings is None:
        raise SourceError(f"{source} has no movies.dat and ratings.dat (or latest_*.dat)")
    movies: dict[int, Movie] = {}
    rows = MovieRows(movies_file, report)
    for line, values in separated_rows(movies_file, "::", 3, report, optional=1):
        number = rows.accept(line, values[0], values[1], "::".join(values))
        if number is not None:
            movie = rows.movie(line, values[1], "".join(values[2:]), None)
            movies[number] = replace(
                movie,
                imdb_id=imdb_id(values[0]),
                titles=titles_from("MOVIETWEETINGS", *(title for title, _ in movie.titles)),
            )
    return Dataset(
        name=report.dataset,
        member_prefix="movietweetings-",
        movies=list(movies.values()),
        item_ids=np.fromiter(movies, dtype=np.int64, count=len(movies)),
        ratings=read_ratings(
            ratings, replace(FORMAT, given=given.given, day_order=given.day_order), report, progress
        ),
        ratings_file=ratings,
    )
