"""Reads that the fields of an operation share."""

import asyncio
from typing import Any

import pytest

from app.settings import Settings
from schema.execution.actor import Authentication, Credentials
from schema.execution.context import Context

pytestmark = pytest.mark.anyio


def authentication() -> Authentication:
    sessions: Any = None
    client: Any = None
    return Authentication(Settings(), sessions, Credentials(), client)


def context() -> Context:
    made = object.__new__(Context)
    made._history = made._export = None
    return made


@pytest.mark.parametrize(
    ("make", "shared", "read"),
    [
        (authentication, "actor", "_authenticate"),
        (context, "history", "_read_history"),
        (context, "export", "_make_export"),
    ],
)
async def test_a_canceled_field_leaves_the_read_to_others(
    monkeypatch: pytest.MonkeyPatch, make: Any, shared: str, read: str
) -> None:
    begun, answered = asyncio.Event(), asyncio.Event()

    async def reading(_: object) -> str:
        begun.set()
        await answered.wait()
        return "the answer"

    one = make()
    monkeypatch.setattr(type(one), read, reading)
    canceled, other = (asyncio.ensure_future(getattr(one, shared)()) for _ in range(2))
    await begun.wait()
    canceled.cancel()
    await asyncio.wait([canceled])
    answered.set()
    assert canceled.cancelled()
    assert await other == "the answer"
