"""The rate algorithm gives the same answers in each of its stores."""

import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from redis.asyncio import Redis
from sqlalchemy import text

from app.db.engine import Sessions
from app.web import gcra

pytestmark = pytest.mark.anyio

BURST = 3_600.0  # seconds; long, so that the duration of the test does not matter
SEQUENCE = [(600, True), (2_900, True), (200, False), (3_600, False), (60, True), (100, False)]

Charge = Callable[[float], Awaitable[bool]]


def in_memory() -> Charge:
    counters = [0.0]

    async def charge(seconds: float) -> bool:
        _, after, wait = gcra.charge(counters, [seconds], time.monotonic(), BURST)
        if wait > gcra.ALMOST:
            return False
        counters[:] = after
        return True

    return charge


async def test_a_process_allows_and_refuses_the_sequence() -> None:
    charge = in_memory()
    assert [await charge(seconds) for seconds, _ in SEQUENCE] == [allowed for _, allowed in SEQUENCE]


async def test_redis_allows_and_refuses_the_same(redis_url: str) -> None:
    key = uuid4().hex
    async with Redis.from_url(redis_url) as redis:
        for seconds, allowed in SEQUENCE:
            which, _, _ = await redis.eval(gcra.REDIS, 1, key, 0, BURST, seconds)
            assert (which == 0) is allowed, seconds


async def test_postgres_allows_and_refuses_the_same(sessions: Sessions) -> None:
    for seconds, allowed in SEQUENCE:
        params = {
            "counted": "a limit",
            "seconds": timedelta(seconds=seconds),
            "burst": timedelta(seconds=BURST),
        }
        async with sessions.begin() as session:
            row = await session.scalar(text(gcra.POSTGRES), params)
        assert (row is not None) is allowed, seconds
