"""Measure how long another client waits while the service answers a member with a long history.

    python -m bench.pauses [--url URL] [--events N] [--page FILE]

Starts a service without rate limits on the bundled catalog, unless `--url` is given. A new member rates most
movies of the catalog and sends events. Another process requests `__typename` in a loop.
"""

import argparse
import http.client
import statistics
import time
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import orjson

from bench.figures import commit, hardware
from bench.processes.start_service import service

NO_LIMITS = {"COST_PER_MINUTE": "0", "OPERATIONS_PER_MINUTE": "0", "REQUESTS_PER_MINUTE": "0"}
IDLE_SECONDS = 1.0  # the service closes connections that are idle for longer
PING_SECONDS = 0.002  # between two requests of the other client
EVENTS, BATCH = 20_000, 500
TIMES = 5
MOVIES = (
    "edges { node { id title year genres { name } directors { name } cast { person { name } character } } }"
)
SIGN_UP = """mutation ($name: String!) { signUp(input: { username: $name, password: "a long walk home" }) {
    ... on AuthPayload { accessToken } } }"""
PAGE = """query ($after: String) { movies(first: 100, after: $after) {
    pageInfo { endCursor hasNextPage } edges { node { id } } } }"""
RATE = """mutation ($id: ID!, $stars: Float!) {
    rateMovie(input: { movieId: $id, stars: $stars }) { __typename } }"""
RECORD = "mutation ($events: [FeedbackInput!]!) { recordFeedback(input: { events: $events }) { __typename } }"
REASONS = "matchPercent predictedRating { stars } reasons { text } node { title }"
SITUATIONS = {
    "alone": "",
    "a list": f"{{ recommendations(first: 24) {{ edges {{ {REASONS} }} }} }}",
    "a varied list of 100": f"{{ recommendations(first: 100, diversity: 0.3) {{ edges {{ {REASONS} }} }} }}",
    "home, 10 shelves of 20": "{ home(shelves: 10, perShelf: 20) { shelves { title "
    f"movies(first: 20) {{ edges {{ {REASONS} }} }} }} }} }}",
    "taste": "{ viewer { taste { genres { affinity } decades { affinity } people { affinity } } } }",
    "history": "{ viewer { history(first: 100) { totalCount edges { node { occurredAt } } } } }",
    "watchlist": "{ viewer { watchlist(first: 100) { totalCount edges { node { title } } } } }",
    "ratings": "{ viewer { ratings(first: 100) { edges { node { stars } } } } }",
    "similar users": "{ viewer { similarUsers(first: 10) { similarity } } }",
    "onboarding": "{ onboarding(first: 50) { edges { node { title } } } }",
    "search": '{ search(query: "the lord", first: 24) { edges { node { title } } } }',
    "search, misspelt": '{ search(query: "strawars godfathr", first: 24) { edges { node { title } } } }',
    "100 movies with people": f"{{ movies(first: 100) {{ {MOVIES} }} }}",
    "matches of 100 movies": "{ movies(first: 100) { edges { node { viewerMatch { matchPercent } } } } }",
    "exportMyData": "{ exportMyData }",
    "500 events": RECORD,
    "an import of 3 MB": "mutation ($csv: String!) { importRatings(input: { csv: $csv }) { __typename } }",
    "a body of 3.4 MB": "query ($x: [String!]) { movies(first: 1, filter: { people: $x }) { totalCount } }",
}
KINDS = ("IMPRESSION", "IMPRESSION", "CLICK", "WATCHLIST", "IMPRESSION", "LIKE")


class Client:
    """An HTTP client with one connection."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=600)
        self.headers = {"Content-Type": "application/json"}
        self.last_used = 0.0
        if token is not None:
            self.headers["Authorization"] = f"Bearer {token}"

    def send(self, query: str, variables: dict[str, Any]) -> Any:
        """Return the answer, which may have errors."""
        body = orjson.dumps({"query": query, "variables": variables})
        if time.monotonic() - self.last_used > IDLE_SECONDS:
            self.connection.close()  # `request` reconnects
        self.connection.request("POST", "/graphql", body, self.headers)
        answer = self.connection.getresponse().read()
        self.last_used = time.monotonic()
        return orjson.loads(answer)

    def post(self, query: str, **variables: Any) -> Any:
        """Return the data of the answer. Raises RuntimeError for an answer with errors."""
        answer = self.send(query, variables)
        if answer.get("errors"):
            raise RuntimeError(answer["errors"])
        return answer["data"]


@dataclass(frozen=True, slots=True)
class Pause:
    """`seconds`: median time of the operation. `waits`: seconds of the other client's requests meanwhile."""

    name: str
    seconds: float
    waits: list[float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--url", help="measure this service without rate limits, e.g. http://127.0.0.1:8000")
    parser.add_argument("--events", type=int, default=EVENTS, help="number of events that the member sends")
    parser.add_argument("--page", type=Path, help="write a Markdown page to this file")
    options = parser.parse_args()
    with nullcontext(options.url) if options.url else service(**NO_LIMITS) as url:
        client, history = member(url, options.events)
        pauses = measure(url, client)
    text = page(pauses, history)
    print(text)  # noqa: T201 - it is a command
    if options.page:
        options.page.parent.mkdir(parents=True, exist_ok=True)
        options.page.write_text(text, encoding="utf-8")


def member(url: str, n_events: int) -> tuple[Client, str]:
    """Create a member with a long history. Return the member's client and a description of the history."""
    name = f"bench-{uuid4().hex[:12]}"
    token = Client(url).post(SIGN_UP, name=name)["signUp"]["accessToken"]
    client = Client(url, token)
    ids: list[str] = []
    after = None
    while after is not None or not ids:
        query = (
            "query ($after: String) { movies(first: 100, after: $after) { pageInfo { endCursor hasNextPage } "
        )
        movies = client.post(query + "edges { node { id } } } }", after=after)["movies"]
        ids += [edge["node"]["id"] for edge in movies["edges"]]
        after = movies["pageInfo"]["endCursor"] if movies["pageInfo"]["hasNextPage"] else None
    rated = ids[: len(ids) - len(ids) // 10]  # a tenth is left to recommend
    for place, movie_id in enumerate(rated):
        client.post(RATE, id=movie_id, stars=1 + place % 9 / 2)
    for start in range(0, n_events, BATCH):
        client.post(RECORD, events=events_of(ids, range(start, start + BATCH)))
    return client, f"{len(rated):,} ratings and {n_events:,} events, {len(ids):,} movies"


def events_of(ids: list[str], numbers: range) -> list[dict[str, str]]:
    return [{"movieId": ids[n % len(ids)], "kind": KINDS[n % len(KINDS)]} for n in numbers]


def variables_of(name: str, client: Client) -> dict[str, Any]:
    """The variables of a situation."""
    if name == "500 events":
        edges = client.post("{ movies(first: 100) { edges { node { id } } } }")["movies"]["edges"]
        return {"events": events_of([edge["node"]["id"] for edge in edges], range(BATCH))}
    if name == "an import of 3 MB":
        row = '2024-01-01,"{} ' + "a title that no movie has " * 8 + '",1999,https://boxd.it/x,4\n'
        return {"csv": "Date,Name,Year,Letterboxd URI,Rating\n" + "".join(map(row.format, range(11_000)))}
    return {"x": ["x" * 340_000] * 10} if name == "a body of 3.4 MB" else {}


def measure(url: str, client: Client) -> list[Pause]:
    """Run each situation TIMES times beside the other client."""
    context = get_context("spawn")
    control, ping_end = context.Pipe()
    other = context.Process(target=ping, args=(url, ping_end))
    other.start()
    control.recv()  # it has started
    spans: list[tuple[str, float, float]] = []
    for name, query in SITUATIONS.items():
        variables = variables_of(name, client)
        for _ in range(TIMES):
            began = time.monotonic()
            if query:
                client.send(query, variables)
            else:
                time.sleep(1)
            spans.append((name, began, time.monotonic()))
            time.sleep(0.05)
    control.send(None)
    waits: list[tuple[float, float]] = control.recv()
    other.join()
    return [
        Pause(
            name,
            statistics.median(end - began for found, began, end in spans if found == name),
            [
                wait
                for found, began, end in spans
                if found == name
                for start, wait in waits
                if start < end and start + wait > began
            ],
        )
        for name in SITUATIONS
    ]


def ping(url: str, line: Connection) -> None:
    """Send requests until a message arrives; then send the start and the seconds of each of them."""
    client = Client(url)
    client.post("{ __typename }")
    line.send(None)
    waits: list[tuple[float, float]] = []
    while not line.poll():
        began = time.monotonic()
        client.post("{ __typename }")
        waits.append((began, time.monotonic() - began))
        time.sleep(PING_SECONDS)
    line.recv()
    line.send(waits)


def page(pauses: list[Pause], history: str) -> str:
    lines = [
        "# Pauses",
        "",
        f"Written by `make bench-pauses` at commit `{commit()}`, {datetime.now(UTC):%Y-%m-%d}, on",
        f"{hardware()}, clients and service on one machine,",
        f"one process of the service. The member has {history}.",
        "",
        f"Each operation is sent {TIMES} times. Meanwhile another client requests `__typename`,",
        f"{1000 * PING_SECONDS:.0f} ms after each answer. Its wait beyond the first row is a pause of the",
        "service, or of the machine.",
        "",
        "| meanwhile | takes, median | another client waits, median | longest |",
        "|---|--:|--:|--:|",
    ]
    for each in pauses:
        middle, longest = statistics.median(each.waits), max(each.waits)
        lines.append(
            f"| {each.name} | {1e3 * each.seconds:,.0f} ms | {1e3 * middle:.1f} ms | {1e3 * longest:.1f} ms |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
