"""Rate limits: a minute's quota at once, then evenly; all or none; in one process and in Redis."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from app.settings import Settings
from app.web import rate_limits
from app.web.rate_limits import Charge, Counters, ProcessCounters, RateLimited, RateLimits, SharedCounters

Use = Callable[[Counters], Awaitable[None]]


@pytest.fixture(params=["process", "redis"])
def counting(request: pytest.FixtureRequest) -> Callable[[Use], None]:
    """Run with both kinds of counters."""
    url = request.getfixturevalue("redis_url") if request.param == "redis" else None

    def run(use: Use) -> None:
        async def with_counters() -> None:
            if url is None:
                await use(ProcessCounters())
                return
            async with Redis.from_url(url) as redis:
                counters = SharedCounters(redis)
                await use(counters)
                assert counters.answers

        asyncio.run(with_counters())

    return run


def client(per_minute: int, name: str = "") -> Callable[[int], Charge]:
    """Charges of a new client."""
    key = name or uuid4().hex
    return lambda amount: Charge("COST_PER_MINUTE", "of cost per minute", key, amount, per_minute)


def test_a_minutes_quota_is_available_at_once_and_then_evenly(counting: Callable[[Use], None]) -> None:
    async def use(counters: Counters) -> None:
        take = client(600)
        await counters.take([take(200)])
        await counters.take([take(395)])
        with pytest.raises(RateLimited, match="600 of cost per minute, and 50 more") as limited:
            await counters.take([take(50)])
        assert limited.value.wait_seconds == 5  # 45 of them, at 10 in a second
        await counters.take([take(3)])  # the refused charge took nothing
        await counters.take([client(600)(600)])  # other clients have their own counters

    counting(use)


def test_quota_is_restored_over_time(counting: Callable[[Use], None]) -> None:
    async def use(counters: Counters) -> None:
        take = client(6_000)  # 100 in a second
        await counters.take([take(6_000)])
        with pytest.raises(RateLimited) as limited:
            await counters.take([take(50)])
        assert limited.value.wait_seconds == 1
        await asyncio.sleep(0.6)
        await counters.take([take(50)])

    counting(use)


def test_several_charges_are_all_or_none(counting: Callable[[Use], None]) -> None:
    async def use(counters: Counters) -> None:
        plenty, little = client(60_000), client(60)
        await counters.take([plenty(1), little(30)])
        with pytest.raises(RateLimited) as limited:
            await counters.take([plenty(59_000), little(31)])
        assert limited.value.charge.per_minute == 60
        await counters.take([plenty(59_000), little(29)])

    counting(use)


def test_a_charge_above_the_quota_takes_a_whole_minute(counting: Callable[[Use], None]) -> None:
    async def use(counters: Counters) -> None:
        take = client(100)
        await counters.take([take(5_000)])
        with pytest.raises(RateLimited) as limited:
            await counters.take([take(100)])
        assert 59 <= limited.value.wait_seconds <= 60

    counting(use)


def test_owed_charges_may_exceed_the_quota(counting: Callable[[Use], None]) -> None:
    async def use(counters: Counters) -> None:
        take = client(600)  # 10 in a second
        assert await counters.take([take(590)]) == pytest.approx([59], abs=1)
        assert await counters.take([take(1_210)], owed=True) == pytest.approx([180], abs=1)
        with pytest.raises(RateLimited) as limited:
            await counters.take([take(100)])
        assert 129 <= limited.value.wait_seconds <= 130
        assert limited.value.filled == pytest.approx([180], abs=1)

    counting(use)


def test_a_charge_of_zero_takes_nothing(counting: Callable[[Use], None]) -> None:
    async def use(counters: Counters) -> None:
        take = client(600)
        assert await counters.take([take(0)], owed=True) == pytest.approx([0], abs=0.01)
        await counters.take([take(900)], owed=True)
        assert await counters.take([take(0)], owed=True) == pytest.approx([90], abs=1)

    counting(use)


def test_the_remaining_quota_of_each_limit_is_reported_also_in_a_refusal() -> None:
    async def use() -> None:
        settings = Settings.model_validate({"operations_per_minute": 3, "cost_per_minute": 600})
        counted = RateLimits(settings, ProcessCounters())
        operations, cost = await counted.operation("ada", 300)
        assert (operations.policy, operations.charge.per_minute, operations.remaining) == ("operations", 3, 2)
        assert (cost.policy, cost.remaining, cost.seconds) == ("cost", 300, 30)
        with pytest.raises(RateLimited) as limited:
            await counted.operation("ada", 400)
        operations, cost = limited.value.left
        assert operations.remaining == 2  # not charged
        assert (cost.remaining, cost.seconds) == (300, limited.value.wait_seconds) == (300, 10)
        (cost,) = await counted.owed("ada", 900)
        assert (cost.remaining, cost.seconds) == (0, 120)
        assert [left.remaining for left in await counted.left("ada")] == [2, 0]

    asyncio.run(use())


def test_processes_share_counters_in_redis(redis_url: str) -> None:
    async def use() -> None:
        take = client(10)
        async with Redis.from_url(redis_url) as one, Redis.from_url(redis_url) as other:
            await SharedCounters(one).take([take(10)])
            with pytest.raises(RateLimited):
                await SharedCounters(other).take([take(2)])

    asyncio.run(use())


def test_without_redis_each_process_counts_for_itself() -> None:
    async def use() -> None:
        settings = Settings.model_validate(
            {"redis_url": "redis://127.0.0.1:1", "operations_per_minute": 2, "cost_per_minute": 0}
        )
        counted = RateLimits.of(settings)
        for _ in range(2):
            await counted.operation("ada", 10)
        with pytest.raises(RateLimited, match="2 operations per minute"):
            await counted.operation("ada", 10)
        await counted.close()

    asyncio.run(use())


def test_zero_disables_a_limit() -> None:
    async def use() -> None:
        names = ("requests_per_minute", "operations_per_minute", "cost_per_minute")
        counted = RateLimits.of(Settings.model_validate(dict.fromkeys(names, 0)))
        for _ in range(100):
            await counted.request("192.0.2.1")
            await counted.operation("ada", 10**9)

    asyncio.run(use())


def test_counters_in_a_process_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "MAX_COUNTERS", 10)

    async def use() -> None:
        counters = ProcessCounters()
        for number in range(100):
            await counters.take([client(10, f"192.0.2.{number}")(10)])
        assert len(counters.filled) == 10
        with pytest.raises(RateLimited):
            await counters.take([client(10, "192.0.2.99")(1)])

    asyncio.run(use())
