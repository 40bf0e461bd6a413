"""Reads of queries from a real streaming replica: what is read there, and what is not."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from strawberry.relay import to_base64

from app.db.cluster import Cluster
from bench.faults.failover import fill
from bench.faults.replica import OPTIONS, Pair, replicated, wait
from bench.overload import NO_LIMITS
from tests.services import Service, running

pytestmark = pytest.mark.timeout(600)

SIGN_UP = """
mutation($name: String!) {
  signUp(input: { username: $name, password: "a long walk home" }) { ... on AuthPayload { accessToken } }
}
"""
RATE = (
    "mutation($id: ID!, $stars: Float!) { rateMovie(input: { movieId: $id, stars: $stars }) { __typename } }"
)
READ = "query($id: ID!) { movie(id: $id) { viewer { rating { stars } } } }"
LIST = """
mutation($id: ID!) { recordFeedback(input: { events: [{ movieId: $id, kind: WATCHLIST }] }) { __typename } }
"""
LISTED = "query($id: ID!) { movie(id: $id) { viewer { onWatchlist } } }"
LOG_OUT = "mutation { logOut { __typename } }"
LAG = "60"  # seconds, longer than a test holds the replay


@dataclass
class Process:
    """A service and its metrics."""

    service: Service
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30))

    def ask(self, query: str, token: str | None = None, **variables: Any) -> Any:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        body = {"query": query, "variables": variables}
        return self.http.post(f"{self.service.url}/graphql", json=body, headers=headers).json()

    def sign_up(self) -> str:
        answer = self.ask(SIGN_UP, name=f"member-{uuid4().hex[:12]}")
        token: str = answer["data"]["signUp"]["accessToken"]
        return token

    def rate(self, token: str, movie: str, stars: float) -> None:
        answer = self.ask(RATE, token, id=movie, stars=stars)
        assert answer["data"]["rateMovie"]["__typename"] == "RateMoviePayload", answer

    def stars(self, token: str, movie: str) -> float | None:
        answer = self.ask(READ, token, id=movie)
        assert "errors" not in answer, answer
        rating = answer["data"]["movie"]["viewer"]["rating"]
        return None if rating is None else float(rating["stars"])

    def read(self, token: str, movie: str) -> tuple[float | None, set[str]]:
        """A member's stars, and what answered the statements of this query."""
        before = self.metrics("query_reads_total")
        stars = self.stars(token, movie)
        return stars, {
            name for name, count in self.metrics("query_reads_total").items() if count > before[name]
        }

    def metrics(self, name: str) -> dict[str, float]:
        """The values of a metric by its only label."""
        found = re.search(r"http://\S+/metrics", self.service.log.read_text())
        assert found is not None
        values = re.findall(
            rf'^marquee_{name}{{\w+="(.*)"}} (\S+)$', self.http.get(found[0]).text, re.MULTILINE
        )
        return {label: float(value) for label, value in values}

    def metric(self, name: str) -> float:
        (value,) = self.metrics(name).values()
        return value

    def wait_for(self, source: str, token: str, movie: str) -> None:
        wait(lambda: self.read(token, movie)[1] == {source})


@contextmanager
def pair_in(run_folder: Path) -> Iterator[Pair]:
    folder = run_folder / f"replicated-{uuid4().hex[:8]}"
    folder.mkdir(mode=0o711)  # the account of Postgres enters it
    with replicated(folder, fill) as pair:
        yield pair


@contextmanager
def process(pair: Pair, model_dir: Path, run_folder: Path, **settings: str) -> Iterator[Process]:
    given = {
        "DATABASE_READ_URL": pair.addresses[1],
        "DATABASE_READ_LAG_SECONDS": LAG,
        "METRICS_PORT": "0",
        **NO_LIMITS,
        **settings,
    }
    with running(pair.addresses[0], model_dir, run_folder, **given) as service:
        yield Process(service)


@pytest.fixture(scope="module")
def pair(run_folder: Path) -> Iterator[Pair]:
    with pair_in(run_folder) as made:
        yield made


@pytest.fixture(scope="module")
def processes(pair: Pair, model_dir: Path, run_folder: Path) -> Iterator[list[Process]]:
    with ExitStack() as stack:
        yield [stack.enter_context(process(pair, model_dir, run_folder)) for _ in range(2)]


@pytest.fixture
def member(processes: list[Process]) -> tuple[str, str]:
    """The token of a member whom the replica has, and a movie."""
    token, movie = processes[0].sign_up(), to_base64("Movie", 1)
    for each in processes:
        each.wait_for("replica", token, movie)
    return token, movie


@contextmanager
def held(pair: Pair) -> Iterator[None]:
    pair.hold_replay()
    try:
        yield
    finally:
        pair.replay()


def test_a_member_reads_what_they_wrote_in_each_process(
    pair: Pair, processes: list[Process], member: tuple[str, str]
) -> None:
    token, movie = member
    with held(pair):
        for number in range(1, 11):
            own, other = processes[number % 2], processes[1 - number % 2]
            last = (number / 2, {"written"})
            own.rate(token, movie, number / 2)
            assert own.read(token, movie) == last
            # It hears of the write by a message of its own, milliseconds later.
            wait(lambda other=other, last=last: other.read(token, movie) == last)  # type: ignore[misc]
        with psycopg.connect(pair.addresses[1]) as replica:
            assert replica.execute("SELECT count(*) FROM ratings WHERE half_stars = 10").fetchone() == (0,)
    for each in processes:
        wait(lambda each=each: each.read(token, movie) == (5, {"replica"}))  # type: ignore[misc]


def is_listed(each: Process, token: str, movie: str) -> bool:
    answer = each.ask(LISTED, token, id=movie)
    return bool(answer["data"]["movie"]["viewer"]["onWatchlist"])


def test_a_write_that_no_trigger_announces_is_read_too(
    pair: Pair, processes: list[Process], member: tuple[str, str]
) -> None:
    token, movie = member
    with held(pair):
        processes[0].ask(LIST, token, id=movie)
        for each in processes:
            wait(lambda each=each: is_listed(each, token, movie))  # type: ignore[misc]


def test_members_who_write_all_the_time_read_the_last_value(
    processes: list[Process], member: tuple[str, str]
) -> None:
    token, movie = member
    for number in range(60):
        stars = 1 + number % 9 / 2
        own, other = processes[number % 2], processes[1 - number % 2]
        own.rate(token, movie, stars)
        assert own.stars(token, movie) == stars
        wait(lambda other=other, stars=stars: other.stars(token, movie) == stars)  # type: ignore[misc]


def test_others_read_the_replica_while_a_member_reads_the_primary(
    pair: Pair, processes: list[Process], member: tuple[str, str]
) -> None:
    other, movie = member
    with held(pair):
        writer = processes[0].sign_up()
        processes[0].rate(writer, movie, 4)
        for each in processes:
            assert each.read(other, movie) == (None, {"replica"})
            wait(lambda each=each: each.read(writer, movie) == (4, {"written"}))  # type: ignore[misc]


def test_a_session_begins_at_once_in_each_process_and_ends_with_the_notification(
    pair: Pair, processes: list[Process], member: tuple[str, str]
) -> None:
    token, movie = member
    with held(pair):
        assert processes[1].stars(processes[0].sign_up(), movie) is None
        processes[0].ask(LOG_OUT, token)
        for each in processes:
            wait(lambda each=each: "errors" in each.ask(READ, token, id=movie))  # type: ignore[misc]
            answer = each.ask(READ, token, id=movie)
            assert answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


def test_a_replica_that_lags_answers_nothing_until_it_has_caught_up(
    pair: Pair, model_dir: Path, run_folder: Path
) -> None:
    with process(pair, model_dir, run_folder, DATABASE_READ_LAG_SECONDS="0.5") as one:
        movie, token, other = to_base64("Movie", 2), one.sign_up(), one.sign_up()
        one.wait_for("replica", token, movie)
        with held(pair):
            one.rate(other, movie, 3)
            one.wait_for("behind", token, movie)
            assert one.metric("replica_lag_seconds") > 0.5
        one.wait_for("replica", token, movie)


def test_no_read_fails_when_the_replica_hangs_dies_or_is_promoted(model_dir: Path, run_folder: Path) -> None:
    movie = to_base64("Movie", 3)
    with pair_in(run_folder) as pair, process(pair, model_dir, run_folder) as one:
        token = one.sign_up()
        one.wait_for("replica", token, movie)
        halt(pair.replica, stop=True)
        stars, sources = one.read(token, movie)
        assert (stars, "failed" in sources) == (None, True)
        assert one.read(token, movie) == (None, {"behind"})
        assert one.metric("replica_up") == 0
        halt(pair.replica, stop=False)
        one.wait_for("replica", token, movie)

        pair.replica.stop()
        one.wait_for("behind", token, movie)
        pair.replica.start(OPTIONS)
        one.wait_for("replica", token, movie)

        pair.promote()
        one.wait_for("behind", token, movie)


def halt(cluster: Cluster, *, stop: bool) -> None:
    """Stop all processes of a server, as a host does that no longer answers, or let them go on."""
    postmaster = cluster.postmaster()
    assert postmaster is not None
    for each in (postmaster, *postmaster.children(recursive=True)):
        if stop:
            each.suspend()
        else:
            each.resume()
