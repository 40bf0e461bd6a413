"""Work for a client that has left is canceled."""

import asyncio
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request

from schema.http import request as reading
from schema.http.request import WhilePresent

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PATIENT_SECONDS", 0.001)


def request(leaving: asyncio.Event) -> Request:
    async def receive() -> Any:
        await leaving.wait()
        return {"type": "http.disconnect"}

    return Request({"type": "http"}, receive)


async def work(leaving: asyncio.Event, ended: list[str], seconds: float = 30) -> str:
    async with WhilePresent(request(leaving)):
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            ended.append("canceled")
            raise
    return "done"


async def test_the_work_ends_when_the_client_leaves() -> None:
    leaving, ended = asyncio.Event(), list[str]()
    task = asyncio.create_task(work(leaving, ended))
    await asyncio.sleep(0.02)
    assert not task.done()
    leaving.set()
    with pytest.raises(ClientDisconnect):
        await task
    assert ended == ["canceled"]
    assert not task.cancelling(), "the task may go on"


async def test_another_cancellation_goes_on() -> None:
    task = asyncio.create_task(work(asyncio.Event(), []))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_nothing_is_left_behind() -> None:
    before = asyncio.all_tasks()
    assert await work(asyncio.Event(), [], 0.02) == "done"
    assert await work(asyncio.Event(), [], 0) == "done"
    await asyncio.sleep(0.01)
    assert asyncio.all_tasks() == before
