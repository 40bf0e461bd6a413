"""Read the training set in bulk: movies as columns, ratings by binary COPY."""

import numpy as np
import psycopg
from numpy.typing import NDArray

from app.db import binary_copy
from app.db.movie_features import MOVIES, movies_of
from recommender.interactions import Interactions
from recommender.item_features import ItemFeatures

ORDER = "ORDER BY id"

# Ratings of simulated members are training data only until a data set of real ones is loaded.
REAL_RATINGS_LOADED = "SELECT EXISTS (SELECT FROM dataset_versions WHERE NOT simulated AND rating_count > 0)"
RATINGS = """
COPY (
    SELECT user_id, movie_id, half_stars, extract(epoch FROM rated_at)::bigint
    FROM ratings JOIN users ON users.id = user_id
    WHERE NOT (simulated AND %(only_real)s)
) TO STDOUT (FORMAT binary)
"""
DATASETS = """
SELECT version FROM dataset_versions WHERE NOT (simulated AND %(only_real)s) ORDER BY loaded_at, version
"""


class NothingToTrainOn(Exception):
    """The database has no movies."""


def read_movies(connection: psycopg.Connection) -> ItemFeatures:
    """Read all movies. Raises NothingToTrainOn if there are none."""
    rows = connection.execute(MOVIES + ORDER).fetchall()
    if not rows:
        raise NothingToTrainOn("The database has no movies: load some first (see `marquee seed --help`).")
    return movies_of(rows)


def read_interactions(connection: psycopg.Connection, catalogue: NDArray[np.int64]) -> Interactions:
    """Read all ratings to train on. `catalogue`: ids of all movies, int64 (n_items,)."""
    with connection.cursor().copy(RATINGS, {"only_real": real_ratings_loaded(connection)}) as copy:
        binary = b"".join(copy)
    rows = np.frombuffer(binary[len(binary_copy.HEADER) : -len(binary_copy.TRAILER)], binary_copy.RATING_ROW)
    return Interactions.from_arrays(
        rows["user_id"].astype(np.int64),
        rows["movie_id"].astype(np.int64),
        rows["half_stars"].astype(np.float32) / 2,
        rows["rated_at"].astype(np.int64),
        catalog=catalogue,
    )


def real_ratings_loaded(connection: psycopg.Connection) -> bool:
    row = connection.execute(REAL_RATINGS_LOADED).fetchone()
    return row is not None and bool(row[0])


def dataset_version(connection: psycopg.Connection, interactions: Interactions) -> str:
    """Names of the loaded data sets and number of ratings: `marquee-simulated-2+ml-latest-small@250836`."""
    names = connection.execute(DATASETS, {"only_real": real_ratings_loaded(connection)}).fetchall()
    return "+".join(name for (name,) in names or [("own",)]) + f"@{interactions.nnz}"
