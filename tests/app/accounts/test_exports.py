"""Exports of any size are complete, consistent, written in bounded pieces, and leave no file."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import nullcontext

import psycopg
import pytest
from sqlalchemy import text

from app.accounts import exports
from app.accounts.exports import BYTES_AT_ONCE, ROWS_AT_ONCE, SMALL, Export, Exports, ExportUnderWay, export
from app.db.engine import Sessions
from schema.execution.context import Clock
from schema.execution.deadline import in_time

pytestmark = pytest.mark.anyio

EVENTS = 12_345
LONGEST_LINE = 600  # characters of an event's JSON
MEMBERS = """
INSERT INTO users (id, username) SELECT n, 'member ' || n FROM generate_series(1, 5) AS n;
INSERT INTO movies (id, title) SELECT n, 'Movie ' || n FROM generate_series(1, 30) AS n;
"""
HISTORY = """
INSERT INTO feedback (user_id, movie_id, kind, occurred_at, idempotency_key, position)
SELECT 1, 1 + n % 30, 'IMPRESSION', now(), 'é"\\' || n, n FROM generate_series(1, :events) AS n
"""

OTHERS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND xact_start < now()
"""


@pytest.fixture
async def filled(sessions: Sessions) -> Sessions:
    async with sessions.begin() as session:
        for statement in filter(str.strip, MEMBERS.split(";")):
            await session.execute(text(statement))
        await session.execute(text(HISTORY), {"events": EVENTS})
    return sessions


@pytest.fixture
def pieces(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Appends the size of each written chunk."""
    sizes: list[int] = []
    write = Export.write

    async def noted(made: Export, piece: bytes) -> None:
        sizes.append(len(piece))
        await write(made, piece)

    monkeypatch.setattr(Export, "write", noted)
    return sizes


async def whole(made: Export) -> bytes:
    return b"".join([part async for part in made.parts()])


async def test_a_long_history_is_complete_and_in_bounded_pieces(filled: Sessions, pieces: list[int]) -> None:
    made = await Exports().make(filled, 1, nullcontext())
    parts = [part async for part in made.parts()]
    held = json.loads(b"".join(parts))
    assert [event["position"] for event in held["feedback"]] == list(range(1, EVENTS + 1))
    assert held["feedback"][-1]["idempotencyKey"] == f'é"\\{EVENTS}'
    assert {event["title"] for event in held["feedback"]} == {f"Movie {n}" for n in range(1, 31)}
    assert sum(pieces) == made.size > SMALL
    assert max(pieces) <= ROWS_AT_ONCE * LONGEST_LINE
    assert max(map(len, parts)) == BYTES_AT_ONCE
    assert made.file._rolled, "it is on the disk"  # type: ignore[attr-defined]
    made.close()


async def test_an_export_is_a_snapshot(
    filled: Sessions, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows written during an export are in none of its tables."""
    write = Export.write

    async def while_others_write(made: Export, piece: bytes) -> None:
        if b'"feedback"' in piece:
            async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as other:
                await other.execute("UPDATE feedback SET position = 0 WHERE user_id = 1")
                await other.execute("INSERT INTO ratings (user_id, movie_id, half_stars) VALUES (1, 1, 7)")
        await write(made, piece)

    monkeypatch.setattr(Export, "write", while_others_write)
    made = await Exports().make(filled, 1, nullcontext())
    held = json.loads(await whole(made))
    made.close()
    assert held["ratings"] == []
    assert [event["position"] for event in held["feedback"]] == list(range(1, EVENTS + 1))


async def test_a_member_has_one_export_at_a_time(filled: Sessions) -> None:
    turns = Exports()
    first = await turns.make(filled, 1, nullcontext())
    with pytest.raises(ExportUnderWay):
        await turns.make(filled, 1, nullcontext())
    (await turns.make(filled, 2, nullcontext())).close()
    first.close()
    for thread in threading.enumerate():
        if thread.name == "closing an export":
            thread.join()
    assert first.file.closed
    again = await turns.make(filled, 1, nullcontext())
    del first, again  # an export that is never sent
    assert turns.members == set()


async def test_concurrent_exports_of_a_process_are_limited(
    filled: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    under_way = most = 0

    async def counted(sessions: Sessions, user_id: int, made: Export) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await export(sessions, user_id, made)
        under_way -= 1

    monkeypatch.setattr(exports, "export", counted)
    turns = Exports()
    made = await asyncio.gather(*(turns.make(filled, user_id, nullcontext()) for user_id in range(1, 6)))
    assert most == exports.AT_ONCE
    for each in made:
        each.close()


async def test_a_cancelled_request_stops_its_export(
    filled: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()

    async def stuck(_made: Export, _piece: bytes) -> None:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(Export, "write", stuck)
    turns = Exports()
    making = asyncio.ensure_future(turns.make(filled, 1, nullcontext()))
    await begun.wait()
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    assert turns.members == set()
    assert turns.places._value == exports.AT_ONCE
    async with filled() as session:
        others = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND xact_start < now()"
        )
        assert await session.scalar(text(others)) == 0


async def test_an_export_that_takes_too_long_is_stopped(filled: Sessions) -> None:
    turns = Exports(seconds=0.001)
    with pytest.raises(TimeoutError):
        await turns.make(filled, 1, nullcontext())
    assert turns.members == set()


async def test_an_export_does_not_count_against_the_operation_deadline() -> None:
    clock = Clock()
    steps: list[str] = []

    async def results() -> AsyncIterator[str]:
        with clock.held():
            await asyncio.sleep(0.3)
        steps.append("made")
        await asyncio.sleep(30)
        yield "late"

    deadline = asyncio.get_running_loop().time() + 0.1
    (outcome,) = [result async for result in in_time(results(), deadline, 0.1, clock)]  # type: ignore[arg-type]
    assert steps == ["made"]
    assert outcome.errors[0].extensions["code"] == "TIMEOUT"
