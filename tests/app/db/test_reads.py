"""Reads of one statement: what they send, and what they survive."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from app.db.engine import Sessions, create_engine, sessionmaker
from app.settings import Settings
from tests.wire import traced

pytestmark = pytest.mark.anyio

DOUBLED = "SELECT 2 * %(number)s"
LARGE = 1 << 40


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def sessions(database_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Sessions]:
    given = getattr(request, "param", {})
    settings = Settings.model_validate({"secret_key": "a secret of the tests, long enough", **given})
    engine = create_engine(database_url, settings)
    yield sessionmaker(engine)
    await engine.dispose()


def end_connections(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


async def test_a_second_read_is_not_parsed_again(sessions: Sessions, tmp_path: Path) -> None:
    assert await sessions.reads.row(DOUBLED, {"number": 1}) == (2,)
    with traced(sessions, tmp_path) as sent:
        # Also not for a number of another size.
        assert await sessions.reads.row(DOUBLED, {"number": LARGE}) == (2 * LARGE,)
    assert sent == ["Bind", "Describe", "Execute", "Sync"]


@pytest.mark.parametrize("sessions", [{"database_prepared_statements": False}], indirect=True)
async def test_without_prepared_statements_a_transaction_pooler_keeps_none(
    sessions: Sessions, tmp_path: Path
) -> None:
    for _ in range(10):
        await sessions.reads.row(DOUBLED, {"number": 1})
    with traced(sessions, tmp_path) as sent:
        await sessions.reads.row(DOUBLED, {"number": 1})
    assert sent == ["Parse", "Bind", "Describe", "Execute", "Sync"]
    assert await sessions.reads.row("SELECT count(*) FROM pg_prepared_statements", {}) == (0,)


async def test_a_write_is_refused(sessions: Sessions) -> None:
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        await sessions.reads.row("INSERT INTO genres (name) VALUES ('Noir') RETURNING id", {})
    assert await sessions.reads.row("SELECT count(*) FROM genres WHERE name = 'Noir'", {}) == (0,)


async def test_a_lost_connection_is_replaced(sessions: Sessions, database_url: str) -> None:
    await asyncio.gather(*(sessions.reads.row(DOUBLED, {"number": 1}) for _ in range(3)))
    async with sessions() as session:
        await session.execute(text("SELECT 1"))
    assert len(sessions.pool.idle) == 3
    end_connections(database_url)
    assert await sessions.reads.row(DOUBLED, {"number": 1}) == (2,)
    assert len(sessions.pool.idle) == 1
    async with sessions() as session:
        assert await session.scalar(text("SELECT 1")) == 1


async def test_a_read_is_repeated_once_only(sessions: Sessions) -> None:
    await sessions.reads.row(DOUBLED, {"number": 1})
    with pytest.raises(psycopg.errors.AdminShutdown):
        await sessions.reads.row("SELECT pg_terminate_backend(pg_backend_pid())", {})
    assert sessions.pool.idle == []
    assert await sessions.reads.row(DOUBLED, {"number": 1}) == (2,)


@pytest.mark.parametrize("sessions", [{"statement_timeout_ms": 200}], indirect=True)
async def test_a_read_has_the_time_limit_of_statements(sessions: Sessions) -> None:
    with pytest.raises(psycopg.errors.QueryCanceled):
        await sessions.reads.row("SELECT pg_sleep(20)", {})
    assert await sessions.reads.row(DOUBLED, {"number": 1}) == (2,)


async def test_a_canceled_read_leaves_no_statement_running(sessions: Sessions) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await sessions.reads.row("SELECT pg_sleep(20)", {})
    sleeping = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query ~ '^SELECT pg_sleep'"
    assert await sessions.reads.row(sleeping, {}) == (0,)
    assert sessions.pool.used == 0


@pytest.mark.parametrize("sessions", [{"database_pool_size": 2}], indirect=True)
async def test_reads_open_no_more_connections_than_the_setting(sessions: Sessions) -> None:
    pids = await asyncio.gather(
        *(sessions.reads.row("SELECT pg_backend_pid(), pg_sleep(0.01)", {}) for _ in range(12))
    )
    assert len({row[0] for row in pids if row}) == 2


async def test_a_connection_in_use_at_the_end_is_closed_after_its_read(sessions: Sessions) -> None:
    reading = asyncio.ensure_future(sessions.reads.row("SELECT 1 FROM pg_sleep(%(number)s)", {"number": 1}))
    while not sessions.pool.used:  # noqa: ASYNC110 - a read signals nothing
        await asyncio.sleep(0.01)
    sessions.pool.close()
    assert await reading == (1,)
    assert sessions.pool.idle == []


async def test_a_connection_opened_during_the_end_is_closed_after_its_read(sessions: Sessions) -> None:
    reading = asyncio.ensure_future(sessions.reads.row("SELECT 1", {}))
    await asyncio.sleep(0)
    assert not sessions.pool.used  # still connecting
    sessions.pool.close()
    assert await reading == (1,)
    assert sessions.pool.idle == []


async def test_a_read_after_the_end_keeps_no_connection(sessions: Sessions) -> None:
    sessions.pool.end()
    assert await sessions.reads.row("SELECT 1", {}) == (1,)
    assert sessions.pool.idle == []
