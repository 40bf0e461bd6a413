"""Processor time beyond the cost is charged, also for operations that fail, stop or return much."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from ipaddress import IPv6Address
from time import thread_time
from typing import Any
from uuid import uuid4

import pytest
import strawberry
from redis.asyncio import Redis
from strawberry.schema.config import StrawberryConfig
from strawberry.types.execution import PreExecutionError

from app.db.engine import Sessions
from app.serving.live import ServingState
from app.settings import Settings
from app.web.admission import Turn
from app.web.budget import REQUEST_COST, Budget
from app.web.client import Client
from app.web.meter import meter_event_loop
from app.web.rate_limits import Counters, ProcessCounters, RateLimits, SharedCounters
from schema.core.directives import Cost
from schema.core.errors import CallerError
from schema.execution.actor import Credentials
from schema.execution.context import Context
from schema.execution.documents import DocumentCache, DocumentExtension, InvalidDocument
from schema.execution.executor import Executor
from schema.execution.request import GraphQLRequest

SECONDS = 0.05
UNITS = 2_500  # the same in units of cost
A_MINUTES = 10_000


def burn(seconds: float = SECONDS) -> None:
    until = thread_time() + seconds
    while thread_time() < until:
        pass


async def step() -> int:
    await asyncio.sleep(0)
    burn()
    return 1


async def thread() -> int:
    await asyncio.to_thread(burn)
    return 1


async def fails() -> int:
    burn()
    raise CallerError("No.")


async def endless() -> int:
    burn()
    await asyncio.sleep(100)
    return 1


async def late() -> int:
    await asyncio.to_thread(burn, 8 * SECONDS)
    return 1


def dear() -> int:
    return 1


async def three() -> AsyncGenerator[int]:
    for number in range(3):
        burn()
        yield number


@strawberry.type
class Part:
    slow: int = strawberry.field(resolver=step)


def part() -> Part:
    return Part()


CHEAP = [Cost(weight=1)]  # a thousandth of its measured cost


@strawberry.type
class Query:
    step: int = strawberry.field(resolver=step, directives=CHEAP)
    thread: int = strawberry.field(resolver=thread, directives=CHEAP)
    fails: int = strawberry.field(resolver=fails, directives=CHEAP)
    endless: int = strawberry.field(resolver=endless, directives=CHEAP)
    late: int = strawberry.field(resolver=late, directives=CHEAP)
    part: Part = strawberry.field(resolver=part)
    dear: int = strawberry.field(resolver=dear, directives=[Cost(weight=2 * UNITS)])


@strawberry.type
class Mutation:
    dear: int = strawberry.mutation(resolver=dear, directives=[Cost(weight=2 * UNITS)])


@strawberry.type
class Subscription:
    three: AsyncGenerator[int] = strawberry.subscription(resolver=three, directives=CHEAP)


SCHEMA = strawberry.Schema(
    Query,
    Mutation,
    Subscription,
    config=StrawberryConfig(enable_experimental_incremental_execution=True),
    extensions=[DocumentExtension],
)
Asked = Callable[["Service"], Awaitable[None]]


class Service:
    """A service for one new client with a budget of A_MINUTES."""

    def __init__(self, counters: Counters) -> None:
        self.settings = Settings.model_validate({"cost_per_minute": A_MINUTES, "operations_per_minute": 0})
        self.rates = RateLimits(self.settings, counters)
        self.client = Client(str(IPv6Address(uuid4().int)))

    async def ask(self, query: str, seconds: float = 30) -> list[Any]:
        settings = self.settings.model_copy(update={"execution_seconds": seconds})
        executor = Executor(SCHEMA, DocumentCache(SCHEMA._schema, settings))
        sessions = Sessions()  # of no database
        served: ServingState = ServingState(None)  # type: ignore[arg-type]
        context = Context(
            self.settings, sessions, served, Credentials(), client=self.client, budget=Budget(self.rates)
        )
        request = GraphQLRequest(query, None, None, None, None)
        now = asyncio.get_running_loop().time()
        turn = Turn(lambda: None, now, now + seconds)
        try:
            document = await executor.read(query, context)
        except InvalidDocument as invalid:
            return [PreExecutionError(data=None, errors=invalid.errors)]
        async with aclosing(executor.results(document, request, context, turn)) as results:
            return [result async for result in results]

    async def taken(self) -> int:
        """The used part of the budget. Some of it is restored while the operation runs."""
        (cost,) = await self.rates.left(await self.payer())
        return A_MINUTES - cost.remaining

    async def payer(self) -> str:
        return self.client.network


@pytest.fixture(params=["process", "redis"])
def asked(request: pytest.FixtureRequest) -> Callable[[Asked], None]:
    url = request.getfixturevalue("redis_url") if request.param == "redis" else None

    def run(asks: Asked) -> None:
        async def main() -> None:
            meter_event_loop()
            if url is None:
                await asks(Service(ProcessCounters()))
                return
            async with Redis.from_url(url) as redis:
                await asks(Service(SharedCounters(redis)))
                await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})

        asyncio.run(main())

    return run


COMES_BACK = 0.5  # largest share of a charge that is restored before the budget is read


@pytest.mark.parametrize(
    ("query", "times"),
    [
        ("{ step }", 1),
        ("{ a: step b: step }", 2),
        ("{ thread }", 1),
        ("{ fails }", 1),
        ("{ endless }", 1),
        ("{ part { ... @defer { slow } } }", 1),
        ("subscription { three }", 3),
    ],
)
def test_time_beyond_the_cost_is_charged(asked: Callable[[Asked], None], query: str, times: int) -> None:
    async def asks(service: Service) -> None:
        await service.ask(query, 0.5 if "endless" in query else 30)
        assert await service.taken() >= COMES_BACK * times * UNITS

    asked(asks)


def test_a_thread_that_continues_is_charged_at_its_end(asked: Callable[[Asked], None]) -> None:
    async def asks(service: Service) -> None:
        (stopped,) = await service.ask("{ late }", 0.01)
        assert stopped.errors[0].extensions["code"] == "TIMEOUT"
        for _ in range(500):
            if await service.taken() > 3 * UNITS:
                return
            await asyncio.sleep(0.02)
        pytest.fail("it was not charged")

    asked(asks)


def test_a_used_up_budget_refuses_even_if_the_cost_is_too_low(asked: Callable[[Asked], None]) -> None:
    async def asks(service: Service) -> None:
        for number in range(200):
            (result,) = await service.ask("{ a: step b: step }")
            if result.errors:
                extensions = result.errors[0].extensions
                assert (extensions["code"], extensions["setting"]) == ("RATE_LIMITED", "COST_PER_MINUTE")
                assert number < 20  # by its cost it could run 450 times
                return
        pytest.fail("nothing was refused")

    asked(asks)


def test_a_query_is_charged_its_time_if_its_cost_is_far_too_high(asked: Callable[[Asked], None]) -> None:
    async def asks(service: Service) -> None:
        (result,) = await service.ask("{ dear }")
        cost = result.extensions["cost"]
        assert cost["requested"] == REQUEST_COST + 2 * UNITS + 1  # for its scalar value
        assert REQUEST_COST <= cost["actual"] < UNITS
        assert await service.taken() < UNITS
        (result,) = await service.ask("{ step }")
        assert result.extensions["cost"]["actual"] >= UNITS > result.extensions["cost"]["requested"]

    asked(asks)


def test_a_mutation_is_charged_its_cost_for_later_work(asked: Callable[[Asked], None]) -> None:
    async def asks(service: Service) -> None:
        (result,) = await service.ask("mutation { dear }")
        assert result.extensions["cost"]["actual"] < UNITS
        assert UNITS < await service.taken() < 3 * UNITS

    asked(asks)


def test_a_query_gives_back_no_more_than_it_was_charged(asked: Callable[[Asked], None]) -> None:
    async def asks(service: Service) -> None:
        await service.ask("{ a: step b: step }")
        before = await service.taken()
        for _ in range(3):
            await service.ask("{ dear }")
        assert COMES_BACK * before < await service.taken() < before + UNITS

    asked(asks)
