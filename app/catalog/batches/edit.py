"""Upsert and delete many movies at once: stored, embedded and served when the function returns.

A batch is one transaction, which runs in a thread on a connection of its own. A process runs one batch at a
time: others wait outside of the threads that requests share. A batch that outlives its request is rolled
back.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import psycopg

from app.catalog.batches import rows as batch_rows
from app.catalog.batches import store
from app.catalog.batches.known import Connection
from app.catalog.batches.rows import MAX_ROWS, Given, InvalidBatch, RowOutcome
from app.catalog.edit import ATTEMPTS, FORGET_CHANGES, ModelChanging
from app.catalog.validation import source as checked_source
from app.db.engine import Sessions
from app.db.movie_features import MOVIES, movies_of
from app.db.unless_ended import Request, unless_ended
from app.serving.live import Live
from app.serving.model import Model
from app.training.vectors import WRITE_VECTORS, copy_vectors
from recommender.model.content import vectors_of

Result = TypeVar("Result")

STATEMENT_SECONDS = 10
_ACTIVE = "SELECT version FROM model_versions WHERE status = 'ACTIVE' FOR SHARE"
_FRESH = "CREATE TEMPORARY TABLE fresh (movie_id bigint, embedding vector) ON COMMIT DROP"
# Each movie has a row of its own, which covers one revision; the last row covers the rest.
_RECORD = """
WITH counted AS (
    UPDATE catalog_revision SET revision = greatest(revision, %(since)s + cardinality(%(ids)s::bigint[]))
    RETURNING revision
)
INSERT INTO catalog_changes (since, until, movie_id)
SELECT %(since)s + place - 1,
    CASE WHEN place = cardinality(%(ids)s::bigint[]) THEN revision ELSE %(since)s + place END, movie_id
FROM counted CROSS JOIN unnest(%(ids)s::bigint[]) WITH ORDINALITY AS changed (movie_id, place)
"""
_DELETE = """
WITH gone AS (DELETE FROM movies WHERE id = ANY(%(ids)s) RETURNING id)
SELECT id, coalesce(rating_count, 0) FROM gone LEFT JOIN movie_stats ON movie_id = id
"""


async def upsert(
    sessions: Sessions, live: Live, source: str, count: int, given: Iterable[tuple[str, Mapping[str, Any]]]
) -> list[RowOutcome]:
    """Add the movies that the source does not have yet, and change the others; return the outcome of each.

    given: external id and fields of each of `count` movies, at most MAX_ROWS; they are read in the thread.
    Raises InvalidBatch, InvalidMovie for an invalid source, or ModelChanging.
    """
    check_size(count)
    source = checked_source(source)
    arrived: list[Given] = []

    def act(connection: Connection) -> tuple[list[RowOutcome], list[int]]:
        arrived.extend(
            Given(place, *row) for place, row in enumerate(given, len(arrived))
        )  # at the first try
        rows, outcomes = batch_rows.read(arrived, {})
        stored, changed = store.store(connection, source, rows)
        return batch_rows.in_order([*outcomes, *stored]), changed

    return await _changed(sessions, live, act)


async def remove(sessions: Sessions, live: Live, movie_ids: Iterable[int]) -> dict[int, int]:
    """Delete movies with all rows that refer to them; return the number of ratings of each deleted movie.

    Raises InvalidBatch or ModelChanging.
    """
    ids = list(dict.fromkeys(movie_ids))
    check_size(len(ids))

    def act(connection: Connection) -> tuple[dict[int, int], list[int]]:
        connection.execute(store.LOCK)
        gone: dict[int, int] = dict(connection.execute(_DELETE, {"ids": ids}).fetchall())
        return gone, list(gone)

    return await _changed(sessions, live, act)


def check_size(rows: int) -> None:
    if not 0 < rows <= MAX_ROWS:
        raise InvalidBatch(f"a batch must have 1 to {MAX_ROWS:,} movies, not {rows:,}.")


async def _changed(
    sessions: Sessions, live: Live, act: Callable[[Connection], tuple[Result, list[int]]]
) -> Result:
    """Run `act`, embed the movies whose ids it returns, and record their change, in one transaction."""

    async def attempts(request: Request) -> Result:
        for _ in range(ATTEMPTS):
            try:
                result = await asyncio.to_thread(_run, sessions.address, live.served.model, act, request)
            except (ModelChanging, psycopg.errors.UniqueViolation, psycopg.errors.DeadlockDetected):
                request.check()
                await live.refresh()  # another transaction was first
            else:
                await live.refresh()
                return result
        raise ModelChanging("Another change of the catalog or the model is under way: retry in a moment.")

    async with live.batching:
        return await unless_ended(attempts)


def _run(
    address: str,
    model: Model | None,
    act: Callable[[Connection], tuple[Result, list[int]]],
    request: Request,
) -> Result:
    with psycopg.connect(address, application_name="marquee batch") as connection:
        connection.execute(f"SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s'".encode())
        active = connection.execute(_ACTIVE).fetchone()
        if (active[0] if active else None) != (model and model.version):
            raise ModelChanging
        ((since,),) = connection.execute(store.LOCK).fetchall()
        result, changed = act(connection)
        if changed:
            if model is not None:
                _embed(connection, model, changed)
            record(connection, since, changed)
        request.check()
        return result


def record(connection: Connection, since: int, movie_ids: Sequence[int]) -> None:
    """Record a change of these movies, so that services read only them. since: the revision before it."""
    connection.execute(_RECORD, {"since": since, "ids": movie_ids})
    connection.execute(FORGET_CHANGES)


def _embed(connection: Connection, model: Model, movie_ids: Sequence[int]) -> None:
    """Write the content vectors of those of these movies that exist."""
    found = connection.execute(f"{MOVIES} WHERE id = ANY(%s) ORDER BY id".encode(), (movie_ids,)).fetchall()
    if found:
        movies = movies_of(found)
        connection.execute(_FRESH)
        copy_vectors(connection, movies.item_ids, vectors_of(model.hybrid.encoder.transform(movies)))
        connection.execute(WRITE_VECTORS, (model.version,))
