"""Time what monitoring adds to a request that asks for one list, in parts; and a scrape.

    python -m bench.telemetry [--json FILE]

The parts are the functions that a request runs, without the rest of the request. Traces are not active.
"""

import argparse
import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from prometheus_client import generate_latest
from starlette.types import Message, Receive, Scope, Send
from strawberry.types.execution import ExecutionResult
from strawberry.types.graphql import OperationType

from app.telemetry import metrics
from app.web.responses import Responses
from bench.figures import Figure, write
from recommender import stages
from recommender.stages import stage
from schema.execution.telemetry import MAX_NAMES, ObservedOperation

ROUNDS, REPEATS = 20_000, 5
SCRAPES = 20
HEADERS = [
    (b"host", b"movies.example"),
    (b"user-agent", b"bench"),
    (b"accept", b"application/graphql-response+json"),
    (b"accept-encoding", b"gzip, zstd"),
    (b"content-type", b"application/json"),
    (b"content-length", b"310"),
    (b"authorization", b"Bearer token"),
    (b"x-forwarded-for", b"192.0.2.1"),
]
SCOPE = {"type": "http", "method": "POST", "path": "/graphql", "headers": HEADERS}
RESULT = ExecutionResult(data={}, errors=None)
TARGET_MICROSECONDS = 30.0


async def response(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


async def receive() -> Message:
    return {"type": "http.request"}


async def send(_message: Message) -> None:
    pass


def operation() -> None:
    """As the executor does for a query without errors, and admission for one that does not wait."""
    metrics.queue_wait.observe(0)
    observed = ObservedOperation(OperationType.QUERY, "List", 0.0)
    observed.count(RESULT)
    observed.resume()
    observed.end()


def scoring() -> None:
    """As a list does: its stages and their observer."""
    for name in stages.STAGES:
        with stage(name):
            pass


async def microseconds(call: Callable[[], Awaitable[None]]) -> float:
    """The least mean duration of a call, over REPEATS."""
    found = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        for _ in range(ROUNDS):
            await call()
        found.append((time.perf_counter() - began) / ROUNDS * 1e6)
    return min(found)


async def nothing() -> None:
    pass


async def measure() -> list[Figure]:
    with_ids = Responses(response)

    async def of(function: Callable[[], None]) -> None:
        function()

    empty = await microseconds(nothing)
    plain = await microseconds(lambda: response(dict(SCOPE), receive, send))
    http = await microseconds(lambda: with_ids(dict(SCOPE), receive, send)) - plain
    executed = await microseconds(lambda: of(operation)) - empty
    scored = await microseconds(lambda: of(scoring)) - empty
    for number in range(MAX_NAMES):
        metrics.operations.labels(f"operation{number}", "query").observe(0.01)
    began = time.perf_counter()
    for _ in range(SCRAPES):
        generate_latest(metrics.REGISTRY)
    scrape = (time.perf_counter() - began) / SCRAPES * 1e3
    return [
        Figure("headers and response count", http, "us"),
        Figure("operation and admission", executed, "us"),
        Figure("stages of scoring", scored, "us"),
        Figure("together", http + executed + scored, "us", target=TARGET_MICROSECONDS, at_most=True),
        Figure(f"scrape with {MAX_NAMES} names, in a thread", scrape, "ms"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    stages.observers[:] = [metrics.observe_stage]
    figures = asyncio.run(measure())
    for figure in figures:
        print(f"{figure.key}: {figure.value:.2f} {figure.unit}")  # noqa: T201 - it is a command
    if options.json:
        write(options.json, "synthetic requests", figures)


if __name__ == "__main__":
    main()
