"""Overload: requests that cannot be answered in time are refused before execution."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import Any

import httpx
import psycopg
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from app.settings import Settings
from app.web import admission
from app.web.admission import MAX_LAG_SECONDS, MIN_AT_ONCE, Admission, Overloaded, Turn
from tests.schema.http.conftest import GRAPHQL, PROTOCOL, error_in, open_socket, sign_up
from tests.services import StartServer

RATINGS = {"query": "{ viewer { ratings(first: 5) { edges { cursor } } } }"}
SLOW, FAST = MAX_LAG_SECONDS * 2, 0.0


def controlled(most: int) -> Admission:
    return Admission(Settings(max_operations_at_once=most, execution_seconds=5))


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


async def entered(control: Admission, n: int) -> list["asyncio.Task[Turn]"]:
    """Start this many concurrent requests, each admitted, waiting or refused."""
    tasks = [asyncio.create_task(control.admitted()) for _ in range(n)]
    await asyncio.sleep(0)
    return tasks


def test_concurrency_is_bounded_and_the_queue_is_in_order() -> None:
    async def work() -> None:
        control = controlled(2)
        tasks = await entered(control, 5)
        assert [task.done() for task in tasks] == [True, True, False, False, False]
        for number in range(3):
            tasks[number].result().end()
            tasks[number].result().end()  # a turn ends once
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert tasks[number + 2].done()
            assert control.running == 2
        for task in tasks:
            task.result().end()
        assert (control.running, len(control.waiting)) == (0, 0)

    run(work())


def test_a_burst_waits_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        monkeypatch.setattr(admission, "BURST_SECONDS", 0.05)
        control = controlled(1)
        running, *waiting = await entered(control, 4)
        refused = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(each) for each in refused] == [Overloaded] * 3
        running.result().end()
        (await control.admitted()).end()
        assert (control.running, len(control.waiting)) == (0, 0)

    run(work())


def test_a_standing_queue_refuses_before_the_body_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        monkeypatch.setattr(admission, "BURST_SECONDS", 30.0)
        control = controlled(2)
        tasks = await entered(control, 8)
        control.check()  # a burst may still wait
        control.emptied -= 31
        with pytest.raises(Overloaded, match="did not start"):
            control.check()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert len(control.waiting) == 0
        control.check()

    run(work())


def test_a_cancelled_waiter_frees_its_place() -> None:
    async def work() -> None:
        control = controlled(1)
        first, second, third = await entered(control, 3)
        first.result().end()  # passes the place to the second, which is cancelled at the same time
        second.cancel()
        turn = await third
        assert (control.running, len(control.waiting)) == (1, 0)
        turn.end()
        assert control.running == 0

    run(work())


def test_concurrency_adapts_to_the_lag_of_the_event_loop() -> None:
    async def work() -> None:
        control = controlled(50)
        await entered(control, 20)
        control.adapt(SLOW)
        assert control.at_once == pytest.approx(16)  # 0.8 of the running ones, not of the allowed ones
        control.running = 16
        for _ in range(50):
            control.running = int(control.at_once)
            control.adapt(SLOW)
        assert control.at_once == MIN_AT_ONCE
        control.running = MIN_AT_ONCE
        waiting = asyncio.create_task(control.admitted())
        await asyncio.sleep(0)
        assert not waiting.done()
        control.adapt(FAST)  # one more, for the waiter
        await waiting
        for _ in range(100):
            control.adapt(FAST)
        assert control.at_once == 50

    run(work())


def test_the_time_of_an_operation_includes_its_wait() -> None:
    async def work() -> None:
        control = controlled(1)
        began = asyncio.get_running_loop().time()
        (first,) = await entered(control, 1)
        waiting = asyncio.create_task(control.admitted())
        await asyncio.sleep(0.1)
        first.result().end()
        turn = await waiting
        assert turn.deadline - began < 5 + 0.1

    run(work())


def test_more_connections_than_allowed_are_refused() -> None:
    async def work() -> None:
        control = Admission(Settings(max_connections=3))
        control.connections = {1, 2, 3}
        control.check()
        control.connections = {1, 2, 3, 4}
        with pytest.raises(Overloaded) as refused:
            control.check()
        assert refused.value.setting == "MAX_CONNECTIONS"

    run(work())


def refused_of(asked: list["Future[httpx.Response]"], n: int) -> list[httpx.Response]:
    """The first responses, once this many have arrived."""
    return [each.result() for _, each in zip(range(n), as_completed(asked, timeout=50), strict=False)]


def test_excess_requests_are_refused_and_the_others_answered(
    start_server: StartServer, seeded_database_url: str
) -> None:
    """Three operations wait for a lock; nothing else can begin until it is released."""
    settings = {"MAX_OPERATIONS_AT_ONCE": "3", "EXECUTION_SECONDS": "60", "STATEMENT_TIMEOUT_MS": "60000"}
    url = start_server(seeded_database_url, **settings).url
    graphql = f"{url}/graphql"
    member = sign_up(graphql)
    headers = {**member.headers, "Accept": GRAPHQL}

    def ask(_: int) -> httpx.Response:
        return httpx.post(graphql, json=RATINGS, headers=headers, timeout=60)

    with (
        psycopg.connect(seeded_database_url) as holder,
        ThreadPoolExecutor(20) as pool,
        open_socket(graphql, {"Authorization": f"Bearer {member.token}"}) as opened,
    ):
        holder.execute("LOCK TABLE ratings IN ACCESS EXCLUSIVE MODE")
        asked = [pool.submit(ask, number) for number in range(20)]
        refused = refused_of(asked, 17)
        assert len(refused) == 17
        for answer in refused:
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
            assert error_in(answer) == {
                "code": "OVERLOADED",
                "setting": "MAX_OPERATIONS_AT_ONCE",
                "retryAfter": 2,
            }
        opened.send("subscribe", "1", RATINGS)
        reply = opened.receive()
        assert (reply["type"], reply["payload"][0]["extensions"]["code"]) == ("error", "OVERLOADED")
        assert httpx.get(f"{url}/healthz").status_code == httpx.get(f"{url}/readyz").status_code == 200
        holder.rollback()
        answered = [each.result() for each in asked if each.result() not in refused]
        assert [answer.status_code for answer in answered] == [200] * 3
    assert ask(0).status_code == 200


def test_health_is_answered_beyond_the_limit_of_connections(
    start_server: StartServer, seeded_database_url: str
) -> None:
    url = start_server(seeded_database_url, MAX_CONNECTIONS="2", REQUEST_SECONDS="60").url
    with httpx.Client(base_url=url, timeout=30) as first, httpx.Client(base_url=url, timeout=30) as second:
        assert first.get("/healthz").status_code == second.get("/healthz").status_code == 200
        with httpx.Client(base_url=url, timeout=30) as third:
            answer = third.post("/graphql", json={"query": "{ __typename }"})
            assert answer.status_code == 503
            assert error_in(answer)["setting"] == "MAX_CONNECTIONS"
            assert third.get("/healthz").status_code == 200
            with pytest.raises(InvalidStatus) as refused:
                connect(f"{url}/graphql".replace("http", "ws", 1), subprotocols=[PROTOCOL])
            assert refused.value.response.status_code == 503
