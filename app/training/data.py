"""Read the training set in bulk: movies as columns, ratings by binary COPY; name and store its version."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

import numpy as np
import orjson
import psycopg
from numpy.typing import NDArray
from psycopg.types.json import Jsonb

from app.db import binary_copy
from app.db.movie_features import MOVIES, movies_of, with_attributes
from recommender.interactions import MAX_STARS, MIN_STARS, Interactions
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
# Ratings that replaced one of the same member and movie, with the time of the first.
CHANGED = """
COPY (
    SELECT user_id, movie_id, half_stars, extract(epoch FROM first_rated_at)::bigint
    FROM ratings WHERE first_rated_at IS NOT NULL
) TO STDOUT (FORMAT binary)
"""
DATASETS = """
SELECT version, rating_count FROM dataset_versions
WHERE NOT (simulated AND %(only_real)s) ORDER BY loaded_at, version
"""
WATERMARKS = "SELECT now(), pg_current_snapshot()::text, revision FROM catalog_revision"
STREAMS = """
SELECT stream, partition, next_position FROM (
    SELECT * FROM stream_positions ORDER BY stored_at DESC, stream, partition LIMIT %s
) AS latest ORDER BY stream, partition
"""
MAX_STREAMS = 1_000  # partitions of streams with their positions; those that were stored last
STORE = """
INSERT INTO training_data (version, read_at, snapshot, catalog_revision, movie_count, member_count,
    rating_count, first_rated_at, last_rated_at, checksum, sources, rules, streams)
VALUES (%(version)s, %(read_at)s, %(snapshot)s, %(catalog_revision)s, %(movie_count)s, %(member_count)s,
    %(rating_count)s, to_timestamp(%(first_rated)s), to_timestamp(%(last_rated)s), %(checksum)s, %(sources)s,
    %(rules)s, %(streams)s) ON CONFLICT DO NOTHING
"""
BLOCK_BYTES = 32 << 20  # of the ratings, which are decoded at once
CHECKSUM_DIGITS = 12  # of the checksum, in the name of a version


@dataclass(frozen=True, slots=True)
class TrainingData:
    """A version of the training data: a cut of the database with its name, counts and checksum.

    `version`: the loaded data sets, the number of ratings and the beginning of the checksum:
    `marquee-simulated-2+ml-latest-small@250836-1f0c5ab2e9d4`. The same data has the same version.
    `snapshot`: the transactions that were visible. `first_rated`, `last_rated`: Unix seconds, or None.
    `sources`: the number of ratings of each loaded data set. `rules`: by which rows were left out.
    `streams`: up to which position the events of each partition are in it, with the keys `stream`,
    `partition` and `offset`.
    """

    version: str
    read_at: datetime
    snapshot: str
    catalog_revision: int
    movie_count: int
    member_count: int
    rating_count: int
    first_rated: int | None
    last_rated: int | None
    checksum: str
    sources: dict[str, int]
    rules: dict[str, Any]
    streams: list[dict[str, str | int]]


class NothingToTrainOn(Exception):
    """The database has no movies."""


def read_movies(connection: psycopg.Connection, attributes: str = "") -> ItemFeatures:
    """Read all movies. Raises NothingToTrainOn if there are none.

    attributes: comma-separated names of those that are features.
    """
    rows = connection.execute(MOVIES + ORDER).fetchall()
    if not rows:
        raise NothingToTrainOn("The database has no movies: load some first (see `marquee seed --help`).")
    return with_attributes(movies_of(rows), [name.strip() for name in attributes.split(",") if name.strip()])


def read_interactions(connection: psycopg.Connection, catalogue: NDArray[np.int64]) -> Interactions:
    """Read all ratings to train on. `catalogue`: ids of all movies, int64 (n_items,)."""
    with connection.cursor().copy(RATINGS, {"only_real": real_ratings_loaded(connection)}) as copy:
        users, movies, half_stars, times = columns_of(copy)
    stars = half_stars.astype(np.float32) / 2
    return Interactions.from_arrays(users, movies, stars, times, catalog=catalogue)


def columns_of(
    copy: Iterable[bytes | bytearray | memoryview], block_bytes: int = BLOCK_BYTES
) -> list[NDArray[Any]]:
    """Decode a binary COPY of ratings while it is read, a block at a time: 26 bytes a rating are held.

    Returns user ids int64, movie ids int64, half stars int16, Unix seconds int64; each (n_ratings,).
    Raises ValueError if the COPY is not complete.
    """
    columns: list[list[NDArray[Any]]] = [[], [], [], []]
    for rows in blocks_of(copy, block_bytes):
        for column, name in zip(columns, ("user_id", "movie_id", "half_stars", "rated_at"), strict=True):
            column.append(rows[name].astype(rows.dtype[name].newbyteorder("=")))
    joined = []
    for column in columns:
        joined.append(np.concatenate(column))
        column.clear()  # before the next column is copied
    return joined


def blocks_of(copy: Iterable[bytes | bytearray | memoryview], block_bytes: int) -> Iterator[NDArray[Any]]:
    """Yield the rows of a binary COPY of ratings, of about `block_bytes` at once; the last may be empty."""
    size = binary_copy.RATING_ROW.itemsize
    pending, start = bytearray(), len(binary_copy.HEADER)
    for data in copy:
        pending += data
        if len(pending) >= start + max(block_bytes, size):
            end = len(pending) - (len(pending) - start) % size
            yield np.frombuffer(bytes(pending[start:end]), binary_copy.RATING_ROW)
            pending, start = pending[end:], 0
    end = len(pending) - len(binary_copy.TRAILER)
    if pending[max(end, 0) :] != binary_copy.TRAILER or (end - start) % size:
        raise ValueError("The COPY of the ratings ended early.")
    yield np.frombuffer(bytes(pending[start:end]), binary_copy.RATING_ROW)


def real_ratings_loaded(connection: psycopg.Connection) -> bool:
    row = connection.execute(REAL_RATINGS_LOADED).fetchone()
    return row is not None and bool(row[0])


def described(
    connection: psycopg.Connection, movies: ItemFeatures, interactions: Interactions
) -> TrainingData:
    """Name and describe the training data. Call it in the transaction that has read them, of one snapshot."""
    only_real = real_ratings_loaded(connection)
    datasets = connection.execute(DATASETS, {"only_real": only_real}).fetchall()
    ((read_at, snapshot, revision),) = connection.execute(WATERMARKS).fetchall()
    names = "+".join(name for name, _ in datasets) or "own"
    checksum = checksum_of(movies, interactions)
    times = interactions.timestamps
    return TrainingData(
        version=f"{names}@{interactions.nnz}-{checksum[:CHECKSUM_DIGITS]}",
        read_at=read_at,
        snapshot=snapshot,
        catalog_revision=revision,
        movie_count=len(movies),
        member_count=interactions.n_users,
        rating_count=interactions.nnz,
        first_rated=int(times.min()) if times.size else None,
        last_rated=int(times.max()) if times.size else None,
        checksum=checksum,
        sources=dict(datasets),
        rules={
            "simulatedMembers": "LEFT_OUT" if only_real else "INCLUDED",
            "ratingsOfOneMovie": "NEWEST",
            "stars": [MIN_STARS, MAX_STARS],
        },
        streams=[
            {"stream": stream, "partition": partition, "offset": position}
            for stream, partition, position in connection.execute(STREAMS, (MAX_STREAMS,))
        ],
    )


def checksum_of(movies: ItemFeatures, interactions: Interactions) -> str:
    """The SHA-256 of the training data, in hexadecimal. The order of rows in the database does not matter."""
    digest = hashlib.sha256()
    ratings = interactions.user_items
    for array in (
        interactions.user_ids,
        ratings.indptr.astype(np.int64),
        interactions.item_ids[ratings.indices],
        ratings.data,
        interactions.timestamps,
    ):
        digest.update(np.ascontiguousarray(array).data)
    for column in fields(movies):
        if column.name == "attributes" and not any(movies.attributes):
            continue  # the checksum of data without them is that of former releases
        values = getattr(movies, column.name)
        digest.update(values.data if isinstance(values, np.ndarray) else orjson.dumps(values))
    return digest.hexdigest()


def store(connection: psycopg.Connection, dataset: TrainingData) -> None:
    """Store a version of the data, unless it is stored."""
    as_json = {name: Jsonb(getattr(dataset, name)) for name in ("sources", "rules", "streams")}
    values = asdict(dataset) | as_json
    connection.execute(STORE, values)
