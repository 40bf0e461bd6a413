"""Processor time of an operation is metered in coroutines, tasks, threads and Postgres."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from time import thread_time
from typing import Any

import pytest
import uvloop
from psycopg import AsyncConnection
from sqlalchemy import text

from app.db.engine import create_engine, sessionmaker
from app.settings import Settings
from app.web import meter
from app.web.meter import BackendClock, Meter, MeteredCoroutine, Threads, Waiting, is_local

BURNT = 0.02  # seconds of processor time
NANOSECONDS = int(BURNT * 1e9)


def burn(seconds: float = BURNT) -> None:
    until = thread_time() + seconds
    while thread_time() < until:
        pass


@pytest.fixture(params=[asyncio.run, uvloop.run])
def run(request: pytest.FixtureRequest) -> Callable[[Awaitable[None]], None]:
    """Run a coroutine in a metered event loop."""

    def runs(awaitable: Any) -> None:
        async def main() -> None:
            meter.meter_event_loop()
            await awaitable

        request.param(main())

    return runs


Run = Callable[[Any], None]


def test_coroutines_and_tasks_count_and_concurrent_work_does_not(run: Run) -> None:
    async def child() -> None:
        burn()
        await asyncio.sleep(0.001)
        burn()

    async def operation() -> int:
        burn()
        await asyncio.gather(child(), child())
        return 5

    async def use() -> None:
        other = asyncio.ensure_future(child())
        measured = Meter()
        assert await MeteredCoroutine(operation(), measured) == 5
        await other
        assert 5 * NANOSECONDS <= measured.nanoseconds < 7 * NANOSECONDS

    run(use())


def test_a_generator_counts_step_by_step(run: Run) -> None:
    async def results() -> AsyncIterator[int]:
        burn()
        yield 1
        await asyncio.sleep(0)
        burn()
        yield 2

    async def use() -> None:
        measured = Meter()
        each: Any = results()
        assert await MeteredCoroutine(anext(each), measured) == 1
        assert measured.nanoseconds >= NANOSECONDS
        assert await MeteredCoroutine(anext(each), measured) == 2
        assert measured.nanoseconds >= 2 * NANOSECONDS
        with pytest.raises(StopAsyncIteration):
            await MeteredCoroutine(anext(each), measured)

    run(use())


def test_threads_of_each_executor_count(run: Run) -> None:
    async def operation() -> None:
        await asyncio.to_thread(burn)
        with Threads(1) as threads:
            await asyncio.get_running_loop().run_in_executor(threads, burn)

    async def use() -> None:
        measured = Meter()
        await MeteredCoroutine(operation(), measured)
        assert measured.nanoseconds >= 2 * NANOSECONDS

    run(use())


def test_a_thread_that_ends_late_is_reported(run: Run) -> None:
    async def use() -> None:
        measured, reported, released = Meter(), asyncio.Event(), threading.Event()

        def late() -> None:
            released.wait()
            burn()

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(BURNT / 10):
                await MeteredCoroutine(asyncio.to_thread(late), measured)
        before = measured.nanoseconds
        measured.late = reported.set
        released.set()
        await reported.wait()
        assert measured.nanoseconds >= before + NANOSECONDS

    run(use())


def test_a_running_step_is_counted(run: Run) -> None:
    async def use() -> None:
        measured = Meter()

        async def operation() -> int:
            burn()
            return measured.nanoseconds

        assert await MeteredCoroutine(operation(), measured) >= NANOSECONDS

    run(use())


def test_cancellation_and_errors_pass_through(run: Run) -> None:
    async def fails() -> None:
        await asyncio.sleep(0)
        raise KeyError("a")

    async def sleeps() -> None:
        await asyncio.sleep(100)

    async def operation() -> str:
        with pytest.raises(KeyError):
            await asyncio.ensure_future(fails())
        begun, unbegun = asyncio.ensure_future(sleeps()), asyncio.ensure_future(sleeps())
        unbegun.cancel()
        await asyncio.sleep(0)
        begun.cancel()
        done = await asyncio.gather(begun, unbegun, return_exceptions=True)
        assert all(isinstance(each, asyncio.CancelledError) for each in done)
        return "done"

    async def use() -> None:
        assert await MeteredCoroutine(operation(), Meter()) == "done"

    run(use())


@pytest.mark.parametrize("elsewhere", [False, True])
def test_postgres_counts_for_the_operation_that_queries(
    database_url: str, monkeypatch: pytest.MonkeyPatch, elsewhere: bool
) -> None:
    """Also if the server's processes cannot be read: then by the time waited for it."""
    if elsewhere:
        monkeypatch.setattr(meter, "is_local", lambda _host: False)

    async def main() -> None:
        meter.meter_event_loop()
        settings = Settings.model_validate({"database_url": database_url, "secret_key": "s" * 40})
        engine = create_engine(database_url, settings)
        meter.meter_database(engine.sync_engine, sessionmaker(engine).pool)

        async def counting(to: int) -> None:
            async with engine.connect() as connection:
                await connection.execute(text("SELECT count(*) FROM generate_series(1, :to)"), {"to": to})

        little, much = Meter(), Meter()
        await counting(1)  # not metered
        await MeteredCoroutine(counting(1), little)
        await MeteredCoroutine(counting(1_000_000), much)
        assert little.nanoseconds > 0
        assert much.nanoseconds - little.nanoseconds > 5_000_000
        if not elsewhere:  # waiting takes no processor time
            before = much.nanoseconds
            await MeteredCoroutine(sleeping(engine), much)
            assert much.nanoseconds - before < 200_000_000
        await engine.dispose()

    async def sleeping(engine: Any) -> None:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT pg_sleep(0.5)"))

    asyncio.run(main())


def test_a_lost_connection_counts_and_leaves_no_file_open(database_url: str) -> None:
    async def main() -> None:
        meter.meter_event_loop()
        settings = Settings.model_validate({"database_url": database_url, "secret_key": "s" * 40})
        engine = create_engine(database_url, settings)
        meter.meter_database(engine.sync_engine, sessionmaker(engine).pool)
        clocks: list[BackendClock] = []

        async def lost() -> None:
            async with engine.connect() as connection:
                raw = await connection.get_raw_connection()
                record: Any = raw._connection_record
                clocks.append(record.info["clock"])
                await connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

        measured = Meter()
        with pytest.raises(Exception, match=r"terminating connection|server closed"):
            await MeteredCoroutine(lost(), measured)
        assert measured.nanoseconds > 0
        await engine.dispose()
        assert clocks[0].file == -1

    asyncio.run(main())


def test_a_process_that_is_not_postgres_is_not_read(database_url: str) -> None:
    async def main() -> None:
        async with await AsyncConnection.connect(database_url) as connection:
            clock = BackendClock.of(connection)
            assert clock is not None
            clock.close()
        assert BackendClock.of(None) is None

    asyncio.run(main())
    assert [is_local(host) for host in ("/run/postgresql", "127.0.0.1", "::1", "localhost")] == [True] * 4
    assert [is_local(host) for host in ("db", "10.0.0.7", "")] == [False] * 3


def test_waiting_runs_slower_with_more_connections_than_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = iter([1_000, 2_000, 3_000])
    monkeypatch.setattr(meter, "monotonic_ns", lambda: next(now))
    monkeypatch.setattr(meter, "thread_time_ns", lambda: 0)
    monkeypatch.setattr(meter, "CORES", 2)
    waiting = Waiting()
    assert waiting() == 1_000
    waiting.out = 2
    assert waiting() == 2_000
    waiting.out = 10
    assert waiting() == 2_200
