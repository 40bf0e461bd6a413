"""Measure how fast hostile requests are refused, and the latency of another client meanwhile.

    python -m bench.hostile [--quick] [--json FILE] [--page FILE]

Starts a service with default settings on the bundled catalog.
"""

import argparse
import http.client
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count, cycle
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path
from urllib.parse import urlsplit

import orjson

from bench.figures import Figure, commit, hardware, write
from bench.hostile.connections import BEGINNINGS, Dropped, held, slow
from bench.hostile.requests import Hostile, request_body, requests
from bench.processes.start_service import service

REFUSED_MS = 50.0
TIMES, QUICK_TIMES = 20, 5
SECONDS, QUICK_SECONDS = 20.0, 5.0
DROPPED_SECONDS = 13.0  # REQUEST_SECONDS and the grace for an answer to an unfinished body
PAUSE = 0.02  # seconds between the other client's queries
ATTACKERS = 4
SLOW, SOCKETS = 100, 100
DATA = "the bundled catalog"
QUERY = request_body(
    "{ movies(first: 24) { edges { node { id title year genres { name } averageRating } } } }"
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A hostile request and the seconds until each of its refusals."""

    hostile: Hostile
    seconds: list[float]

    @property
    def slowest_ms(self) -> float:
        return 1_000 * max(self.seconds)


class Client:
    """An HTTP client with one connection. Each request has a new X-Forwarded-For, to avoid rate limits."""

    def __init__(self, url: str, network: int) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        self.addresses = (f"10.{network}.{n // 250 % 250}.{n % 250}" for n in count())

    def post(self, body: bytes, *, chunked: bool = False) -> tuple[float, bytes]:
        """Return the seconds until the end of the answer, and the answer."""
        headers = {"Content-Type": "application/json", "X-Forwarded-For": next(self.addresses)}
        content = (body[n : n + 65_536] for n in range(0, len(body), 65_536)) if chunked else body
        started = time.perf_counter()
        self.connection.request("POST", "/graphql", content, headers, encode_chunked=chunked)
        answer = self.connection.getresponse().read()
        return time.perf_counter() - started, answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions and a shorter attack")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--page", type=Path, help="write a Markdown page to this file")
    options = parser.parse_args()
    with service() as url:
        refusals = [refusal(url, each, QUICK_TIMES if options.quick else TIMES) for each in requests()]
        dropped = slow(url)
        seconds = QUICK_SECONDS if options.quick else SECONDS
        calm = others(url, seconds)
        with attack(url):
            attacked = others(url, seconds)
    found = figures(refusals, dropped, calm, attacked)
    for figure in found:
        print(f"{figure.key}: {figure.value:.1f} {figure.unit}")  # noqa: T201 - it is a command
    if options.json:
        write(options.json, DATA, found)
    if options.page:
        options.page.parent.mkdir(parents=True, exist_ok=True)
        options.page.write_text(page(refusals, found), encoding="utf-8")


def refusal(url: str, hostile: Hostile, times: int) -> Refusal:
    """Time the refusals of a request. Raises AssertionError for another error than the expected one."""
    client = Client(url, 1)
    client.post(QUERY)  # opens the connection
    times_taken = []
    for _ in range(times):
        seconds, answer = client.post(hostile.body, chunked=hostile.chunked)
        extensions = orjson.loads(answer)["errors"][0]["extensions"]
        assert (extensions["code"], extensions.get("setting", "")) == (hostile.code, hostile.setting), (
            hostile.name
        )
        times_taken.append(seconds)
    return Refusal(hostile, times_taken)


def others(url: str, seconds: float) -> list[float]:
    """Milliseconds that each query of another client takes, sent one after another."""
    client = Client(url, 2)
    expected = data_of(client.post(QUERY)[1])
    latencies = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        took, answer = client.post(QUERY)
        assert data_of(answer) == expected
        latencies.append(1_000 * took)
        time.sleep(PAUSE)
    return latencies


def data_of(answer: bytes) -> object:
    """The data of an answer, without the measured cost, which differs each time."""
    return orjson.loads(answer)["data"]


@contextmanager
def attack(url: str) -> Iterator[None]:
    """Attack with all hostile requests in turn on several connections, slow clients and idle websockets."""
    context = get_context("spawn")
    done = context.Event()
    attackers = [context.Process(target=attacker, args=(url, number, done)) for number in range(ATTACKERS)]
    with ExitStack() as stack:
        for process in attackers:
            process.start()
            stack.callback(process.join, 60)
        stack.callback(done.set)
        stack.enter_context(held(url, SLOW, SOCKETS))
        time.sleep(1)  # until all attackers have started
        yield


def attacker(url: str, number: int, done: Event) -> None:
    """Send each request as soon as the last one is answered."""
    client = Client(url, 3 + number)
    for hostile in cycle(requests()):
        if done.is_set():
            return
        client.post(hostile.body, chunked=hostile.chunked)


def figures(
    refusals: list[Refusal], dropped: list[Dropped], calm: list[float], attacked: list[float]
) -> list[Figure]:
    """The figures to compare between commits."""
    found = [
        Figure(f"refused/{each.hostile.name}", each.slowest_ms, "ms", REFUSED_MS, at_most=True)
        for each in refusals
    ]
    found += [
        Figure(f"dropped/{each.sent}", each.seconds, "s", DROPPED_SECONDS, at_most=True) for each in dropped
    ]
    for name, latencies in (("calm", calm), ("under attack", attacked)):
        found += [
            Figure(f"others, {name}/median", statistics.median(latencies), "ms"),
            Figure(f"others, {name}/p99", statistics.quantiles(latencies, n=100)[98], "ms"),
            Figure(f"others, {name}/answered", len(latencies)),
        ]
    return found


def page(refusals: list[Refusal], found: list[Figure]) -> str:
    """Markdown: each request with its refusal, then the latency of another client."""
    by_key = {figure.key: figure for figure in found}
    lines = [
        "# Hostile requests",
        "",
        f"Written by `make bench-hostile` at commit `{commit()}`, {datetime.now(UTC):%Y-%m-%d}, on",
        f"{hardware()}, client and service on one machine,",
        f"one process of the service with its default settings, on {DATA}.",
        "",
        "## Refusals",
        "",
        f"Each request is sent {len(refusals[0].seconds)} times in sequence and refused by the same rule",
        "each time: a limit with a setting, or another rule. The time is from the first byte sent to the",
        "last byte of the answer. `bench/hostile/requests.py` defines the requests; tests send them too.",
        "",
        "| request | bytes | code | limit | median | slowest | under 50 ms |",
        "|---|--:|---|---|--:|--:|---|",
    ]
    for each in refusals:
        middle = 1_000 * statistics.median(each.seconds)
        holds = "yes" if each.slowest_ms <= REFUSED_MS else "no"
        limit = f"`{each.hostile.setting}`" if each.hostile.setting else ""
        lines.append(
            f"| {each.hostile.name} | {len(each.hostile.body):,} | `{each.hostile.code}` | {limit} "
            f"| {middle:.1f} ms | {each.slowest_ms:.1f} ms | {holds} |"
        )
    lines += ["", "Clients that send only this lose their connection (`REQUEST_SECONDS`):", ""]
    lines += [f"- {each}: after {by_key[f'dropped/{each}'].value:.1f} s" for each in BEGINNINGS]
    return "\n".join([*lines, *noticed(by_key)]) + "\n"


def noticed(by_key: dict[str, Figure]) -> Iterator[str]:
    yield from ("", "## Other clients", "")
    yield from (
        f"Another client requests a page of 24 movies, {1_000 * PAUSE:.0f} ms after each answer: first",
        f"alone, then under attack. {ATTACKERS} attackers send all requests above in turn, each as soon as",
        "the last one is answered and from a new address, which avoids rate limits. Meanwhile",
        f"{SLOW} slow clients hold connections and {SOCKETS} idle websockets are open.",
        "No query of the client fails.",
        "",
        "| | queries | median | p99 |",
        "|---|--:|--:|--:|",
    )
    for name in ("calm", "under attack"):
        count_, middle, last = (
            by_key[f"others, {name}/{each}"].value for each in ("answered", "median", "p99")
        )
        yield f"| {name} | {count_:,.0f} | {middle:.1f} ms | {last:.1f} ms |"


if __name__ == "__main__":
    main()
