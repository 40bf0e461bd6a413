"""Members who rate movies over HTTP, and a producer of events: they note what was acknowledged."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import orjson
import psycopg
from confluent_kafka import KafkaError, Message, Producer
from strawberry.relay import to_base64

from bench.faults.fleet import MOVIES, TOPIC, Fleet
from bench.live.stream import PARTITIONS, quiet

PASSWORD = "a long walk home"  # noqa: S105 - of members of a temporary database
GIVE_UP_SECONDS, REST_SECONDS, FLUSH_SECONDS = 10.0, 0.1, 120.0
BAD_EVERY = 100
SIGN_UP = """
mutation($name: String!, $password: String!) {
  signUp(input: { username: $name, password: $password }) { ... on AuthPayload { accessToken } }
}
"""
RATE = (
    "mutation($id: ID!, $stars: Float!) { rateMovie(input: { movieId: $id, stars: $stars }) { __typename } }"
)

Key = tuple[str, int]  # a username and a movie


@dataclass(slots=True)
class Rater:
    """A member at a time, who rates each movie once. `acknowledged`: the half-stars of answered ratings."""

    url: str
    rate: float
    movie_ids: list[tuple[int, str]]
    acknowledged: dict[Key, int] = field(default_factory=dict)
    unanswered: int = 0
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=GIVE_UP_SECONDS))

    def run(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            name = f"rater-{uuid4().hex[:12]}"
            answer = self._send(SIGN_UP, None, name=name, password=PASSWORD)
            if answer is None:
                stopping.wait(REST_SECONDS)
                continue
            token = answer["data"]["signUp"]["accessToken"]
            for number, (movie, id_) in enumerate(self.movie_ids):
                if stopping.wait(1 / self.rate):
                    return
                half_stars = 1 + (number + len(self.acknowledged)) % 10
                answer = self._send(RATE, token, id=id_, stars=half_stars / 2)
                if answer and (answer.get("data") or {}).get("rateMovie") == {
                    "__typename": "RateMoviePayload"
                }:
                    self.acknowledged[name, movie] = half_stars
                else:
                    self.unanswered += 1

    def _send(self, query: str, token: str | None, **variables: Any) -> dict[str, Any] | None:
        """The answer; None if there is none, or one without data."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        body = {"query": query, "variables": variables}
        try:
            answer = self.http.post(f"{self.url}/graphql", json=body, headers=headers).json()
        except (httpx.HTTPError, ValueError):
            return None
        return answer if answer.get("data") else None


@dataclass(slots=True)
class Sender:
    """Sends events that are all different: ratings of new members, clicks, and some that are malformed.

    The producer is idempotent: an event that it sends again stands in the topic once. `acknowledged` has the
    numbers of events; `failed` counts those that it gave up.
    """

    producer: Producer
    rate: float
    acknowledged: set[int] = field(default_factory=set)
    failed: int = 0

    def run(self, stopping: threading.Event) -> None:
        began, sent = time.monotonic(), 0
        while not stopping.is_set():
            for number in range(sent, int(self.rate * (time.monotonic() - began))):
                self.producer.produce(
                    TOPIC,
                    event(number),
                    partition=number % PARTITIONS,
                    on_delivery=self._acknowledged(number),
                )
                sent = number + 1
            self.producer.poll(REST_SECONDS / 2)
        self.producer.flush(FLUSH_SECONDS)
        self.failed += len(self.producer)

    def _acknowledged(self, number: int) -> Any:
        def note(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                self.failed += 1
            else:
                self.acknowledged.add(number)

        return note


def event(number: int) -> bytes:
    """An event that no other number makes; `STORED` of `bench.faults.run` finds the number again."""
    if number % BAD_EVERY == 0:
        return b"%d" % number
    base = {
        "version": 1,
        "user": f"{'rater' if number % 2 else 'clicker'}-{number // (2 * MOVIES)}",
        "movie": {"title": f"Movie {number // 2 % MOVIES}", "year": 1990},
        "time": datetime.now(UTC).isoformat(),
    }
    if number % 2:
        return orjson.dumps(base | {"kind": "rating", "value": (1 + number % 10) / 2})
    return orjson.dumps(base | {"kind": "click", "id": str(number)})


@dataclass(slots=True)
class Writers:
    raters: list[Rater]
    sender: Sender

    def acknowledged(self) -> dict[Key, int]:
        return {key: stars for rater in self.raters for key, stars in rater.acknowledged.items()}


@contextmanager
def writing(fleet: Fleet, raters: int, ratings: float, events: float) -> Iterator[Writers]:
    """Write in threads, `ratings` and `events` a second at most, until the end of the block."""
    with psycopg.connect(fleet.database_url) as connection:
        movies = [row[0] for row in connection.execute("SELECT id FROM movies ORDER BY id")]
    named = [(movie, to_base64("Movie", movie)) for movie in movies]
    producer = Producer({**quiet(fleet.broker.address), "enable.idempotence": True, "linger.ms": 5})
    writers = Writers(
        [Rater(fleet.url, ratings / raters, named) for _ in range(raters)], Sender(producer, events)
    )
    stopping = threading.Event()
    runs = [*(rater.run for rater in writers.raters), writers.sender.run]
    threads = [threading.Thread(target=each, args=(stopping,)) for each in runs]
    for thread in threads:
        thread.start()
    try:
        yield writers
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
