"""Store millions of ratings in Postgres by binary COPY from NumPy buffers."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from app.db import binary_copy
from recommender.progress import Progress
from seeds.files.rating_rows import distinct
from seeds.files.report import Count

Connection = psycopg.Connection[tuple[Any, ...]]
Cursor = psycopg.Cursor[tuple[Any, ...]]

_POSTGRES_EPOCH = 946_684_800  # 2000-01-01 in Unix seconds; a timestamptz is in microseconds since then
_MICROSECONDS = 1_000_000
_ROWS_PER_BUFFER = 1 << 16
_TREND_EPOCH, _TREND_SECONDS = 1_893_456_000, 1_745_086  # of the function `trend_weight`

# New and later ratings, and those in the place of ratings inferred from watching. Other ratings are neither
# written nor locked, so members can change them meanwhile.
_DIFFERING = """
CREATE TEMPORARY TABLE differing_ratings ON COMMIT DROP AS
SELECT incoming.*, known.user_id IS NOT NULL AS known
FROM incoming_ratings AS incoming LEFT JOIN ratings AS known USING (user_id, movie_id)
WHERE known.user_id IS NULL OR known.implicit OR incoming.rated_at > known.rated_at
"""
# The change of each movie's statistics is computed from the rows as they are when they are replaced, because
# members may have changed them since _DIFFERING. Rows are locked in one order.
_REPLACE = """
CREATE TEMPORARY TABLE change_of_stats ON COMMIT DROP AS
WITH replaced AS MATERIALIZED (
    SELECT user_id, movie_id, ratings.half_stars, ratings.rated_at,
        differing.half_stars AS new_half_stars, differing.rated_at AS new_rated_at
    FROM ratings JOIN differing_ratings AS differing USING (user_id, movie_id)
    WHERE known AND (ratings.implicit OR differing.rated_at > ratings.rated_at)
    ORDER BY user_id, movie_id FOR UPDATE OF ratings
), written AS (
    UPDATE ratings SET half_stars = new_half_stars, rated_at = new_rated_at, implicit = false,
        first_rated_at = nullif(least(first_rated_at, ratings.rated_at, new_rated_at), new_rated_at)
    FROM replaced WHERE (ratings.user_id, ratings.movie_id) = (replaced.user_id, replaced.movie_id)
)
SELECT movie_id, 0::bigint AS rating_count, sum(new_half_stars - half_stars) AS half_stars_sum,
    sum(trend_weight(new_rated_at) - trend_weight(rated_at)) AS trend, count(*) AS rows
FROM replaced GROUP BY movie_id
"""
_ADD = """
WITH added AS (
    INSERT INTO ratings (user_id, movie_id, half_stars, rated_at)
    SELECT user_id, movie_id, half_stars, rated_at FROM differing_ratings WHERE NOT known
    ORDER BY user_id, movie_id
    ON CONFLICT (user_id, movie_id) DO NOTHING RETURNING movie_id, half_stars, rated_at
)
INSERT INTO change_of_stats
SELECT movie_id, count(*), sum(half_stars), sum(trend_weight(rated_at)), count(*) FROM added GROUP BY movie_id
"""
# It runs last: a member who rates one of these movies waits from this statement to the commit.
_CHANGE_STATS = """
INSERT INTO movie_stats AS stats (movie_id, rating_count, half_stars_sum, trend)
SELECT movie_id, sum(rating_count), sum(half_stars_sum), sum(trend) FROM change_of_stats
GROUP BY movie_id ORDER BY movie_id
ON CONFLICT (movie_id) DO UPDATE
SET rating_count = stats.rating_count + excluded.rating_count,
    half_stars_sum = stats.half_stars_sum + excluded.half_stars_sum,
    trend = greatest(stats.trend + excluded.trend, 0),
    updated_at = clock_timestamp()
"""
# Of a table that was empty, the arrays have all ratings: to read them again takes a second for 3 million.
_WRITE_STATS = """
INSERT INTO movie_stats AS stats (movie_id, rating_count, half_stars_sum, trend)
SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::double precision[])
ON CONFLICT (movie_id) DO UPDATE
SET rating_count = excluded.rating_count,
    half_stars_sum = excluded.half_stars_sum,
    trend = excluded.trend,
    updated_at = clock_timestamp()
"""


def store_ratings(
    connection: Connection,
    *,
    user_ids: NDArray[np.int64],
    movie_ids: NDArray[np.int64],
    half_stars: NDArray[np.int16],
    timestamps: NDArray[np.int64],
    progress: Progress,
) -> Count:
    """Store n ratings in the open transaction and update `movie_stats`.

    Arrays are (n,), with ids of the database, timestamps in Unix seconds, and distinct pairs of user and
    movie. An empty table is filled without indexes and constraints, which are then recreated from their
    definitions. Otherwise the ratings are merged: the later of two ratings is kept, and only differences are
    written. `movie_stats` is written last and locks its rows: commit soon.
    """
    assert len(user_ids) == len(movie_ids) == len(half_stars) == len(timestamps)
    buffers = _rating_buffers((user_ids, movie_ids, half_stars, timestamps), progress)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL maintenance_work_mem = '512MB'")
        cursor.execute("SELECT set_config('marquee.bulk', 'on', true)")
        cursor.execute("SELECT NOT EXISTS (SELECT FROM ratings)")
        if cursor.fetchone() == (True,):
            count = _fill(cursor, buffers, (movie_ids, half_stars, timestamps), progress)
        else:
            count = _merge(cursor, buffers, len(user_ids), progress)
        cursor.execute("SELECT set_config('marquee.bulk', 'off', true)")
    return count


def _fill(
    cursor: Cursor,
    buffers: Iterator[bytes],
    rows: tuple[NDArray[np.int64], NDArray[np.int16], NDArray[np.int64]],
    progress: Progress,
) -> Count:
    n = len(rows[0])
    cursor.execute("LOCK TABLE ratings IN ACCESS EXCLUSIVE MODE")
    cursor.execute("SELECT NOT EXISTS (SELECT FROM ratings)")
    if cursor.fetchone() != (True,):  # a member rated while we waited for the lock
        return _merge(cursor, buffers, n, progress)
    constraints, indexes = _definitions(cursor)
    for name, _ in constraints:
        cursor.execute(sql.SQL("ALTER TABLE ratings DROP CONSTRAINT {}").format(sql.Identifier(name)))
    for name, _ in indexes:
        cursor.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
    # Even a trigger that does nothing costs time for each row.
    cursor.execute("ALTER TABLE ratings DISABLE TRIGGER USER")
    cursor.execute("TRUNCATE ratings")  # FREEZE requires it
    _copy(cursor, "ratings", buffers, freeze=True)
    cursor.execute("ALTER TABLE ratings ENABLE TRIGGER USER")
    remaking = [
        *(f"ALTER TABLE ratings ADD CONSTRAINT {name} {definition}" for name, definition in constraints),
        *(definition for _, definition in indexes),
    ]
    for done, statement in enumerate(remaking):
        progress("indexing ratings", done / len(remaking))
        cursor.execute(statement.encode())
    progress("counting ratings of each movie", 0.0)
    cursor.execute(_WRITE_STATS, _stats(*rows))
    progress("counting ratings of each movie", 1.0)
    return Count(added=n)


def _stats(
    movie_ids: NDArray[np.int64], half_stars: NDArray[np.int16], timestamps: NDArray[np.int64]
) -> tuple[list[Any], ...]:
    """Movies, and of each the number of ratings, the sum of half-stars and the trend, as lists."""
    movies, at = distinct(movie_ids)
    n = len(movies)
    weights = np.exp(np.clip((timestamps - _TREND_EPOCH) / _TREND_SECONDS, -700, 700))
    counts = np.bincount(at, minlength=n)
    sums = np.bincount(at, half_stars, n).astype(np.int64)
    return movies.tolist(), counts.tolist(), sums.tolist(), np.bincount(at, weights, n).tolist()


def _definitions(
    cursor: Cursor,
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Name and definition of the constraints of `ratings`, the primary key first, and of other indexes."""
    cursor.execute(
        "SELECT quote_ident(conname), pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE conrelid = 'ratings'::regclass AND contype IN ('p', 'u', 'f') ORDER BY contype DESC, conname"
    )
    constraints = [(str(name), str(definition)) for name, definition in cursor.fetchall()]
    cursor.execute(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index "
        "WHERE indrelid = 'ratings'::regclass "
        "AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND conrelid = indrelid)"
    )
    return constraints, [(str(name), str(definition)) for name, definition in cursor.fetchall()]


def _merge(cursor: Cursor, buffers: Iterator[bytes], n: int, progress: Progress) -> Count:
    cursor.execute(
        "CREATE TEMPORARY TABLE incoming_ratings ON COMMIT DROP AS "
        "SELECT user_id, movie_id, half_stars, rated_at FROM ratings WITH NO DATA"
    )
    _copy(cursor, "incoming_ratings", buffers, freeze=False)
    progress("merging ratings", 0.0)
    cursor.execute("ANALYZE incoming_ratings")
    cursor.execute(_DIFFERING)
    cursor.execute("ANALYZE differing_ratings")
    progress("merging ratings", 0.5)
    cursor.execute(_REPLACE)
    cursor.execute("SELECT coalesce(sum(rows), 0)::bigint FROM change_of_stats")
    [(updated,)] = cursor.fetchall()
    cursor.execute(_ADD)
    cursor.execute("SELECT coalesce(sum(rows), 0)::bigint FROM change_of_stats")
    [(written,)] = cursor.fetchall()
    cursor.execute(_CHANGE_STATS)
    progress("merging ratings", 1.0)
    return Count(added=written - updated, updated=updated, unchanged=n - written)


def _copy(cursor: Cursor, table: str, buffers: Iterator[bytes], *, freeze: bool) -> None:
    statement = sql.SQL(
        "COPY {} (user_id, movie_id, half_stars, rated_at) FROM STDIN (FORMAT binary{})"
    ).format(sql.Identifier(table), sql.SQL(", FREEZE" if freeze else ""))
    with cursor.copy(statement) as copy:
        for buffer in buffers:
            copy.write(buffer)


def _rating_buffers(
    columns: tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]], progress: Progress
) -> Iterator[bytes]:
    user_ids, movie_ids, half_stars, timestamps = columns
    n = len(user_ids)
    rows = np.empty(min(n, _ROWS_PER_BUFFER), dtype=binary_copy.RATING_ROW)
    rows["columns"] = 4
    rows["user_id_length"] = rows["movie_id_length"] = rows["rated_at_length"] = 8
    rows["half_stars_length"] = 2
    yield binary_copy.HEADER
    for start in range(0, n, _ROWS_PER_BUFFER):
        part = slice(start, min(n, start + _ROWS_PER_BUFFER))
        buffer = rows[: part.stop - part.start]
        buffer["user_id"] = user_ids[part]
        buffer["movie_id"] = movie_ids[part]
        buffer["half_stars"] = half_stars[part]
        buffer["rated_at"] = (timestamps[part] - _POSTGRES_EPOCH) * _MICROSECONDS
        yield buffer.tobytes()
        progress("storing ratings", part.stop / n)
    yield binary_copy.TRAILER
