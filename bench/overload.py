"""Latency and refusals under more load than one process can serve.

    python -m bench.overload [--quick] [--json FILE] [--page FILE]

Starts a service without rate limits on the bundled catalog. First measures its capacity: answers per second
in a closed loop. Then sends requests in an open loop, at mean rates of 1, 2 and 4 times the capacity. The
latency of an answer counts from the time when its request was due. `--url` measures a running service.
"""

import argparse
import asyncio
import http.client
import random
import statistics
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import urlsplit

from bench.figures import Figure, commit, hardware, write
from bench.hostile.requests import request_body
from bench.processes.start_service import service

FACTORS = (1, 2, 4)
CLIENTS = 16  # concurrent clients of the closed loop
SECONDS, QUICK_SECONDS = 15.0, 4.0
GIVE_UP_SECONDS = 60.0
HEALTH_PAUSE = 0.1
EXECUTION_MS = 10_000.0
DATA = "the bundled catalog"
NO_LIMITS = {"REQUESTS_PER_MINUTE": "0", "OPERATIONS_PER_MINUTE": "0", "COST_PER_MINUTE": "0"}
OPERATIONS = (
    request_body("{ movies(first: 24) { edges { node { id title year genres { name } averageRating } } } }"),
    request_body('{ search(query: "the last night", first: 10) { edges { node { id title year } } } }'),
    request_body("{ recommendations(first: 20) { edges { node { id title } matchPercent } } }"),
)
OK, UNAVAILABLE = 200, 503
TIMES = ("answered: p50", "p99", "refused: p99", "`/healthz`: p99", "`/readyz`: p99")


@dataclass(slots=True)
class Load:
    """Results of one request rate. Times in milliseconds."""

    factor: int
    offered: float  # requests per second
    seconds: float
    answered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    failed: int = 0
    health: list[float] = field(default_factory=list)  # of /healthz
    ready: list[float] = field(default_factory=list)  # of /readyz


class Connections:
    """A pool of kept-alive connections, each for one request at a time."""

    def __init__(self, url: str) -> None:
        self.address = urlsplit(url)
        self.free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def send(self, request: bytes) -> int:
        """Return the HTTP status. Raises OSError or EOFError if the connection fails."""
        reader, writer = self.free.pop() if self.free else await self.connect()
        try:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
            await reader.readexactly(int(fields[b"content-length"]))
        except BaseException:
            writer.close()
            raise
        if fields.get(b"connection") == b"close":
            writer.close()
        else:
            self.free.append((reader, writer))
        return int(head.split(b" ", 2)[1])

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self.address.hostname, self.address.port)


def post_request(body: bytes) -> bytes:
    head = "POST /graphql HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


REQUESTS = [post_request(body) for body in OPERATIONS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="measure each rate for less time")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--page", type=Path, help="write a Markdown page to this file")
    parser.add_argument("--url", help="measure the service without rate limits at this address")
    options = parser.parse_args()
    with nullcontext(options.url) if options.url else service(**NO_LIMITS) as url:
        rate, loads = asyncio.run(measured(url, QUICK_SECONDS if options.quick else SECONDS))
    found = figures(rate, loads)
    for figure in found:
        print(f"{figure.key}: {figure.value:.1f} {figure.unit}")  # noqa: T201 - it is a command
    if options.json:
        write(options.json, DATA, found)
    if options.page:
        options.page.parent.mkdir(parents=True, exist_ok=True)
        options.page.write_text(page(rate, loads, found), encoding="utf-8")


async def measured(url: str, seconds: float) -> tuple[float, list[Load]]:
    await capacity(url, 1.0)  # warm-up
    rate = await capacity(url, seconds)
    return rate, [await offered(url, factor, factor * rate, seconds) for factor in FACTORS]


async def capacity(url: str, seconds: float) -> float:
    """Answers per second to CLIENTS clients that each wait for an answer before the next request."""
    connections, until, number = Connections(url), time.monotonic() + seconds, count()

    async def client() -> int:
        answered = 0
        while time.monotonic() < until:
            status = await connections.send(REQUESTS[next(number) % len(REQUESTS)])
            answered += status == OK
        return answered

    return sum(await asyncio.gather(*(client() for _ in range(CLIENTS)))) / seconds


async def offered(url: str, factor: int, rate: float, seconds: float) -> Load:
    """Send requests at the times of a Poisson process, each on a free or new connection."""
    load, connections = Load(factor, rate, seconds), Connections(url)
    random_ = random.Random(factor)  # noqa: S311 - the same times in each run
    context = get_context("spawn")
    control, line = context.Pipe()
    # In a process of its own, so that it does not wait behind the other requests of this one.
    probe = context.Process(target=check_health, args=(url, line))
    probe.start()
    control.recv()  # it has started
    started = due = time.monotonic()
    tasks = []
    for number in count():
        due += random_.expovariate(rate)
        if due > started + seconds:
            break
        if (wait := due - time.monotonic()) > 0:
            await asyncio.sleep(wait)
        request = REQUESTS[number % len(REQUESTS)]
        tasks.append(asyncio.ensure_future(one(connections, request, due, load)))
    await asyncio.gather(*tasks)
    control.send(None)
    load.health, load.ready = control.recv()
    probe.join()
    return load


async def one(connections: Connections, request: bytes, due: float, load: Load) -> None:
    try:
        async with asyncio.timeout(GIVE_UP_SECONDS):
            status = await connections.send(request)
    except (OSError, EOFError):
        status = 0
    times = {OK: load.answered, UNAVAILABLE: load.refused}.get(status)
    if times is None:
        load.failed += 1
    else:
        times.append(1_000 * (time.monotonic() - due))


def check_health(url: str, line: Connection) -> None:
    """Request /healthz and /readyz until a message arrives; then send the milliseconds of each."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=GIVE_UP_SECONDS)
    times: dict[str, list[float]] = {"/healthz": [], "/readyz": []}
    line.send(None)
    while not line.poll(HEALTH_PAUSE):
        for path, taken in times.items():
            began = time.monotonic()
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == OK, f"{path} is refused"
            taken.append(1_000 * (time.monotonic() - began))
    line.recv()
    line.send([*times.values()])


def p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98] if len(values) > 1 else sum(values)


def figures(rate: float, loads: list[Load]) -> list[Figure]:
    found = [Figure("capacity", rate, "/s")]
    for load in loads:
        at = f"{load.factor}x"
        found += [
            Figure(f"{at}/answered", len(load.answered) / load.seconds, "/s"),
            Figure(f"{at}/refused", len(load.refused) / load.seconds, "/s"),
            Figure(f"{at}/failed", load.failed, target=0, at_most=True),
            Figure(f"{at}/answered, median", statistics.median(load.answered or [0.0]), "ms"),
            Figure(f"{at}/answered, p99", p99(load.answered), "ms", EXECUTION_MS, at_most=True),
            Figure(f"{at}/refused, p99", p99(load.refused), "ms"),
            Figure(f"{at}/healthz, p99", p99(load.health), "ms"),
            Figure(f"{at}/readyz, p99", p99(load.ready), "ms"),
        ]
    return found


def page(rate: float, loads: list[Load], found: list[Figure]) -> str:
    by_key = {figure.key: figure.value for figure in found}
    lines = [
        "# Overload",
        "",
        f"Written by `make bench-overload` at commit `{commit()}`, {datetime.now(UTC):%Y-%m-%d}, on",
        f"{hardware()}, clients and service on one machine,",
        f"one process of the service without rate limits, on {DATA}.",
        "",
        f"In a closed loop, {CLIENTS} clients get {rate:,.0f} answers per second: a page of 24 movies, a",
        "search and a list of 20 recommendations in turn. Then an open loop sends requests at random times",
        f"with a fixed mean rate for {loads[0].seconds:.0f} s.",
        "Latencies count from the time when a request was due. Refusals are 503 with `Retry-After`.",
        f"Another process requests `/healthz` and `/readyz` every {1_000 * HEALTH_PAUSE:.0f} ms.",
        "",
        f"| load | offered | answered | refused | failed | {' | '.join(TIMES)} |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
        *rows(loads, by_key),
    ]
    return "\n".join(lines) + "\n"


def rows(loads: list[Load], by_key: dict[str, float]) -> Iterator[str]:
    for load in loads:
        at = f"{load.factor}x"
        rates = [f"{by_key[f'{at}/{name}']:,.0f}/s" for name in ("answered", "refused")]
        times = ("answered, median", "answered, p99", "refused, p99", "healthz, p99", "readyz, p99")
        cells = [f"{load.offered:,.0f}/s", *rates, str(load.failed)]
        cells += [f"{by_key[f'{at}/{name}']:,.0f} ms" for name in times]
        yield f"| {at} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
