"""Store a data set of movies, members and ratings in one transaction."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.resources.abc import Traversable

import numpy as np
import psycopg
from numpy.typing import NDArray

from app.db.engine import lock, psycopg_url
from recommender.progress import Progress
from seeds.files.rating_rows import RatingRows
from seeds.files.ratings import latest
from seeds.files.report import Count, Report, SourceError, quiet
from seeds.movies import Movie
from seeds.store.bulk_copy import Connection, store_ratings
from seeds.store.movies import store_movies

# Key of an advisory lock, which serializes loads; any number that no other code locks.
_LOAD_LOCK = 7_312_056
UNKNOWN_MOVIE = "a rating of an unknown movie"


@dataclass(frozen=True, slots=True)
class Dataset:
    name: str  # also the `source` of its members
    member_prefix: str  # member 7 of the file is the user `<prefix>7`
    movies: Sequence[Movie]
    item_ids: NDArray[np.int64]  # (n_movies,) the file's ids of the movies
    ratings: RatingRows
    ratings_file: Traversable


@contextmanager
def transaction(conn_url: str, progress: Progress = quiet) -> Iterator[Connection]:
    """Open a connection with a transaction that is committed at the end, or rolled back by an exception.

    Each database has one load at a time. A second one reports that it waits, outside a transaction.
    """
    with psycopg.connect(psycopg_url(conn_url), autocommit=True, prepare_threshold=None) as connection:
        lock(connection, _LOAD_LOCK, lambda: progress("waiting for another load to end", 0.0))
        with connection.transaction():
            connection.execute("SET LOCAL statement_timeout = 0")
            yield connection


def store_dataset(conn_url: str, dataset: Dataset, report: Report, progress: Progress) -> Report:
    """Store new and changed data, and count it in the report.

    Raises:
        SourceError: a username of the data set belongs to another user.
        UnusableRowError: a row is invalid and `report.strict` is on.
    """
    rows = _of_known_movies(dataset, report)
    with transaction(conn_url, progress) as connection:
        stored = store_movies(connection, dataset.movies, authority=False, progress=progress)
        report.movies = stored.count
        movie_ids = np.array(stored.movie_ids, dtype=np.int64)
        rows = _one_rating_a_movie(rows, dataset, movie_ids, report)
        users, user_at = np.unique(rows.user_ids, return_inverse=True)
        user_ids, report.members = store_members(
            connection, [f"{dataset.member_prefix}{user}" for user in users], dataset.name, progress
        )
        order = np.argsort(dataset.item_ids)
        item_at = order[np.searchsorted(dataset.item_ids, rows.item_ids, sorter=order)]
        report.ratings = store_ratings(
            connection,
            user_ids=user_ids[user_at],
            movie_ids=movie_ids[item_at],
            half_stars=rows.half_stars,
            timestamps=rows.timestamps,
            progress=progress,
        )
        counts = (len(np.unique(movie_ids)), len(users), len(rows))
        record_dataset(connection, dataset.name, counts)
    return report


def store_members(
    connection: Connection,
    usernames: Sequence[str],
    source: str,
    progress: Progress,
    *,
    simulated: bool = False,
) -> tuple[NDArray[np.int64], Count]:
    """Store members who cannot log in; return their user ids, (n,), in the order of `usernames`."""
    progress("storing members", 0.0)
    connection.execute(
        "CREATE TEMPORARY TABLE incoming_members (number bigint, username text) ON COMMIT DROP"
    )
    with connection.cursor().copy("COPY incoming_members FROM STDIN") as copy:
        for row in enumerate(usernames):
            copy.write_row(row)
    added = connection.execute(
        # Discoverable: their names are the numbers of a public data set.
        "INSERT INTO users (username, source, simulated, discoverable) "
        "SELECT username, %s, %s, true FROM incoming_members ORDER BY number "
        "ON CONFLICT (lower(username)) DO NOTHING",
        (source, simulated),
    ).rowcount
    rows = connection.execute(
        "SELECT users.id, users.username, users.source FROM incoming_members AS incoming "
        "JOIN users ON lower(users.username) = lower(incoming.username) ORDER BY number"
    ).fetchall()
    for _, username, owner in rows:
        if owner != source:
            origin = f"was loaded with {owner}" if owner else "signed up here"
            raise SourceError(
                f"The user {username} {origin}, but a member of {source} has the same name. "
                f"Load {source} into another database."
            )
    progress("storing members", 1.0)
    user_ids = np.array([row[0] for row in rows], dtype=np.int64)
    return user_ids, Count(added=added, unchanged=len(rows) - added)


def record_dataset(
    connection: Connection, version: str, counts: tuple[int, int, int], *, simulated: bool = False
) -> None:
    """Record in `dataset_versions` the numbers of movies, members and ratings."""
    connection.execute(
        "INSERT INTO dataset_versions AS known (version, simulated, movie_count, member_count, rating_count) "
        "VALUES (%s, %s, %s, %s, %s) ON CONFLICT (version) DO UPDATE SET movie_count = excluded.movie_count, "
        "member_count = excluded.member_count, rating_count = excluded.rating_count, loaded_at = now() "
        "WHERE (known.movie_count, known.member_count, known.rating_count) "
        "<> (excluded.movie_count, excluded.member_count, excluded.rating_count)",
        (version, simulated, *counts),
    )


def _of_known_movies(dataset: Dataset, report: Report) -> RatingRows:
    """The ratings of the movies of the data set; others are reported."""
    rows = dataset.ratings
    known = np.isin(rows.item_ids, dataset.item_ids)
    for i in np.flatnonzero(~known):
        report.skip(UNKNOWN_MOVIE, str(dataset.ratings_file), int(rows.lines[i]), rows.text(i))
    return rows if known.all() else rows.take(known)


def _one_rating_a_movie(
    rows: RatingRows, dataset: Dataset, movie_ids: NDArray[np.int64], report: Report
) -> RatingRows:
    """Merge the ratings of a movie with several ids in the file under the first id."""
    _, first, at = np.unique(movie_ids, return_index=True, return_inverse=True)
    item_ids = dataset.item_ids[first][at]
    for i in np.flatnonzero(item_ids != dataset.item_ids):
        rows = replace(
            rows, item_ids=np.where(rows.item_ids == dataset.item_ids[i], item_ids[i], rows.item_ids)
        )
    return latest(rows, dataset.ratings_file, report)
