"""Health checks do not wait behind the work of operations."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from app.web import health
from app.web.health import DatabaseProbe


def test_the_database_is_probed_while_all_threads_of_operations_are_taken(database_url: str) -> None:
    release = threading.Event()

    async def work() -> str | None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        taken = loop.run_in_executor(None, release.wait)
        probe = DatabaseProbe(database_url)
        try:
            return await probe.fault()
        finally:
            release.set()
            await taken
            probe.close()

    assert asyncio.run(work()) is None


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        (psycopg.errors.ConnectionTimeout("slow"), "does not answer within"),
        (psycopg.OperationalError("refused"), "cannot be reached"),
    ],
)
def test_a_fault_of_the_database_is_named(
    monkeypatch: pytest.MonkeyPatch, raised: Exception, reason: str
) -> None:
    def fail(_: str) -> None:
        raise raised

    monkeypatch.setattr(health, "select_one", fail)
    found = asyncio.run(DatabaseProbe("postgresql://nowhere").fault())
    assert found is not None
    assert reason in found


def test_a_database_that_hangs_is_reported_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(health, "PROBE_SECONDS", 0.05)
    monkeypatch.setattr(health, "select_one", lambda _: release.wait())

    async def work() -> list[str | None]:
        probe = DatabaseProbe("postgresql://nowhere")
        found = [await probe.fault() for _ in range(2)]
        release.set()
        return found

    assert all(each and "does not answer" in each for each in asyncio.run(work()))
