"""Serve lists under rating and training, make them again, and time what a record costs its request.

    python -m bench.provenance [--lists 1000] [--json FILE]

Starts a service on the bundled catalog. Members in several threads rate movies and ask for lists of all
kinds, while a new model is trained and activated. Each list is made again and compared with what the client
received.
"""

import argparse
import asyncio
import random
import time
from base64 import b64decode
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
from sqlalchemy import text
from threadpoolctl import threadpool_limits

from app.db.embedded import embedded_postgres
from app.db.engine import create_engine, sessionmaker
from app.provenance import replay
from app.provenance.recorder import Recorder
from app.recommendations.history import history_of
from app.recommendations.recommend import Wish, recommend
from app.serving import live
from app.settings import Settings
from app.training import train
from bench.figures import Figure, write
from bench.processes.start_service import Service, started
from schema.core.cursors import Cursors
from schema.execution.actor import Credentials
from schema.execution.context import Context
from schema.execution.list_cursor import ListPage

SETTINGS = {
    "REQUESTS_PER_MINUTE": "0",
    "OPERATIONS_PER_MINUTE": "0",
    "COST_PER_MINUTE": "0",
    "LEARNING_SECONDS": "1",
}
THREADS, RATED = 4, 40
HOMES, SECOND_PAGES = 0.1, 0.3  # shares of the requests
RECORDS = 20_000
TARGET_MICROSECONDS = 30.0
WRITTEN_SECONDS = 30.0

SIGN_UP = """
mutation($u:String!,$p:String!){signUp(input:{username:$u,password:$p}){... on AuthPayload{accessToken}}}
"""
RATE = "mutation($m:ID!,$s:Float!){rateMovie(input:{movieId:$m,stars:$s}){__typename}}"
MOVIES = "{movies(first:100,orderBy:{field:POPULARITY,direction:DESC}){edges{node{id}}}}"
LIST = """
query($f:MovieFilter,$d:Float,$n:Float,$e:[ID!],$a:String){
  recommendations(first:12,filter:$f,diversity:$d,novelty:$n,exclude:$e,after:$a){
    requestId edges{node{id}} pageInfo{endCursor}
  }
}
"""
SIZE = "SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent = %s::regclass"
STATES = """
SELECT count(*), count(DISTINCT model_version), pg_total_relation_size('model_states') FROM model_states
"""
RATERS = "SELECT user_id FROM ratings GROUP BY user_id ORDER BY count(*) DESC LIMIT 400"
HOME = "{home(shelves:5,perShelf:8){requestId shelves{movies(first:8){edges{node{id}}}}}}"


@dataclass(slots=True)
class Client:
    """A member who rates movies and asks for lists; `shown` holds the movies of each page, by list."""

    url: str
    rng: random.Random
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60))
    token: str = ""
    shown: dict[str, list[list[int]]] = field(default_factory=dict)

    def send(self, query: str, **variables: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        body = {"query": query, "variables": variables}
        answer = self.http.post(f"{self.url}/graphql", json=body, headers=headers).json()
        assert "errors" not in answer, answer["errors"]
        found: dict[str, Any] = answer["data"]
        return found

    def use(self, lists: int) -> None:
        """Ask for lists until this many pages are shown."""
        if not self.token:
            answer = self.send(SIGN_UP, u=f"bench-{uuid4().hex[:12]}", p="a long walk home")
            self.token = answer["signUp"]["accessToken"]
        movies = [edge["node"]["id"] for edge in self.send(MOVIES)["movies"]["edges"]]
        for movie in self.rng.sample(movies, RATED):
            self.rate(movie)
        while sum(map(len, self.shown.values())) < lists:
            if self.rng.random() < HOMES:
                self.see_home()
            else:
                self.see_list(movies)
            self.rate(self.rng.choice(movies))

    def rate(self, movie: str) -> None:
        self.send(RATE, m=movie, s=self.rng.randint(1, 10) / 2)

    def see_list(self, movies: list[str]) -> None:
        """Ask for a list, and sometimes for its second page."""
        wish: dict[str, Any] = self.rng.choice([
            {},
            {"d": self.rng.random(), "n": self.rng.random()},
            {"f": {"genres": [self.rng.choice(["Drama", "Comedy"])], "minRating": 3.0}},
            {"e": self.rng.sample(movies, 10)},
        ])  # fmt: skip
        page = self.send(LIST, **wish)["recommendations"]
        self.note(page["requestId"], page)
        if self.rng.random() < SECOND_PAGES and page["edges"]:
            self.rate(page["edges"][0]["node"]["id"])
            self.note(
                page["requestId"],
                self.send(LIST, **wish, a=page["pageInfo"]["endCursor"])["recommendations"],
            )

    def see_home(self) -> None:
        home = self.send(HOME)["home"]
        for shelf in home["shelves"]:
            self.note(home["requestId"], shelf["movies"])

    def note(self, request_id: str, page: dict[str, Any]) -> None:
        ids = [b64decode(edge["node"]["id"]).decode().partition(":")[2] for edge in page["edges"]]
        self.shown.setdefault(request_id, []).append([int(id_) for id_ in ids])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--lists", type=int, default=1_000, help="pages of lists to serve")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    with started(**SETTINGS) as service, embedded_postgres(Path(service.environment["DATA_DIR"])) as url:
        shown = serve(service, url, options.lists)
        figures = [*reproduce(service, url, shown), *asyncio.run(time_records(service, url))]
    for figure in figures:
        print(f"{figure.key}: {figure.value:.6g} {figure.unit}")  # noqa: T201 - it is a command
    if options.json:
        write(options.json, "the bundled catalog", figures)


def serve(service: Service, url: str, lists: int) -> dict[str, list[list[int]]]:
    """Serve lists to several members at once, with a training in between."""
    clients = [Client(service.url, random.Random(seed)) for seed in range(THREADS)]  # noqa: S311 - no secret
    with ThreadPoolExecutor(THREADS + 1) as pool:
        using = [pool.submit(client.use, lists // THREADS) for client in clients]
        trained = pool.submit(train_once, service, url)
        for each in (*using, trained):
            each.result()
        # Again, with the new model.
        for each in [pool.submit(client.use, lists // THREADS + lists // THREADS // 4) for client in clients]:
            each.result()
    return {request_id: pages for client in clients for request_id, pages in client.shown.items()}


def train_once(service: Service, url: str) -> None:
    models = Path(service.environment["DATA_DIR"]) / "models"
    train.train(url, models, lambda _stage, _fraction: None, kept_models=3)


def reproduce(service: Service, url: str, shown: dict[str, list[list[int]]]) -> list[Figure]:
    """Make all lists again and compare them with what clients received."""
    outcomes: Counter[str] = Counter()
    pages = sum(map(len, shown.values()))
    with psycopg.connect(url, autocommit=True) as connection, threadpool_limits(limits=1, user_api="blas"):
        wait_until_written(connection, pages)
        replayer = replay.Replayer(Path(service.environment["DATA_DIR"]) / "models")
        begun = time.perf_counter()
        for request_id, received in shown.items():
            recorded = replay.recorded(connection, UUID(request_id))
            kept = Counter(tuple(each.movie_ids) for each in recorded)
            outcomes["not as received"] += (Counter(map(tuple, received)) - kept).total()
            for each in recorded:
                again = replayer.replay(connection, each)
                outcomes["reproduced" if again.same else again.reason or "different"] += 1
        seconds = time.perf_counter() - begun
        sizes = {
            table: int((connection.execute(SIZE, (table,)).fetchone() or (0,))[0])
            for table in ("served_lists", "served_inputs")
        }
        states = connection.execute(STATES).fetchone() or (0, 0, 0)
    return [
        Figure("pages served", pages, "pages"),
        Figure("pages reproduced", outcomes.pop("reproduced", 0), "pages", target=pages),
        *(Figure(outcome, count, "pages", target=0, at_most=True) for outcome, count in outcomes.items()),
        Figure("models", states[1], "models"),
        Figure("states of models", states[0], "states"),
        Figure("time to make a page again", 1e3 * seconds / pages, "ms"),
        *(Figure(f"{table} for each page", of / pages, "bytes") for table, of in sizes.items()),
        Figure("model_states", states[2], "bytes"),
    ]


def wait_until_written(connection: psycopg.Connection, pages: int) -> None:
    deadline = time.monotonic() + WRITTEN_SECONDS
    while time.monotonic() < deadline:
        row = connection.execute("SELECT count(*) FROM served_lists").fetchone()
        if row is not None and row[0] >= pages:
            return
        time.sleep(0.2)


async def time_records(service: Service, url: str) -> list[Figure]:
    """Time the record of a list in the request, and in the thread that writes it."""
    settings = Settings.model_validate(
        {"database_url": url, "secret_key": "a secret of a benchmark, long enough"}
    )
    engine = create_engine(url, settings)
    sessions = sessionmaker(engine)
    served = await live.load(sessions, Path(service.environment["DATA_DIR"]) / "models")
    model = served.model
    assert model is not None
    context = Context(settings, sessions, served, Credentials(), recorder=Recorder(30))
    async with sessions() as session:
        raters = await session.execute(text(RATERS))
        ids = [row.user_id for row in raters]
    histories = {id_: await history_of(sessions, id_) for id_ in ids}
    picks = recommend(served.snapshot, model, histories[ids[0]], Wish(), signed_in=True, first=24).picks
    page = ListPage.of(context, None, Cursors("recommendations", b""), None)
    wish = Wish()
    in_request = written = 0.0
    for start in range(0, RECORDS, len(ids)):
        begun = time.perf_counter()
        for id_ in ids:
            users = ((id_, histories[id_]),)
            page.record(context, model, id_, users, picks, first=24, wish=wish, skipped=None)
        in_request += time.perf_counter() - begun
        begun = time.process_time()
        if start < len(ids) * 3:  # the first writes, of new histories, and some of the same
            context.recorder.write(url)
            written += time.process_time() - begun
        context.recorder.queue.clear()
        context.recorder.added_rows = context.recorder.taken_rows = 0
    await engine.dispose()
    lists = -(-RECORDS // len(ids)) * len(ids)
    return [
        Figure(
            "a record in its request",
            1e6 * in_request / lists,
            "µs",
            target=TARGET_MICROSECONDS,
            at_most=True,
        ),
        Figure("a record in the thread, processor time", 1e6 * written / len(ids) / 3, "µs"),
        Figure("ratings of a history", sum(each.rated for each in histories.values()) / len(ids), "ratings"),
    ]


if __name__ == "__main__":
    main()
