"""A stream of events of simulated members, and its producer.

The members have the tastes of `seeds/simulator.py`. Each member goes through their movies: a click on a
movie, a watch event, a rating. One event in a hundred names a movie that is not in the catalog, as happens in
real streams. At its end the stream begins again, and each member goes through the movies of the next one. The
time of an event is that at which it is sent.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Any

import numpy as np
import orjson
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from seeds.bundled import read_catalogue
from seeds.simulator import simulate

TOPIC = "live"  # also the source of its members
PARTITIONS = 3
RATINGS = 60  # of a member, on average
UNKNOWN_EVERY = 100
UNKNOWN = {"title": "A Movie That Is Not in the Catalog", "year": 1999}
SPREAD = 3.0  # movies by which members are ahead of others
WATCHED_PER_STAR = 0.25  # from 4 stars on, a movie is watched to its end
REQUEST_SECONDS, FLUSH_SECONDS = 30, 5

Event = dict[str, Any]


def simulated(members: int) -> list[Event]:
    """The events of one pass, without times. Members are 1 to `members`."""
    catalog = read_catalogue()
    movies = [entry.movie for entry in catalog]
    renown = np.array([entry.renown for entry in catalog])
    drawn = simulate(movies, renown, members=members, ratings=members * RATINGS)
    by_time = np.lexsort((drawn.timestamps, drawn.user_idx))
    user = drawn.user_idx[by_time]
    nth = np.arange(len(user)) - np.searchsorted(user, user)  # of the member's movies
    place = nth + SPREAD * np.random.default_rng(1).random(members)[user]
    events = []
    for at in by_time[np.argsort(place, kind="stable")].tolist():
        movie, stars = movies[drawn.item_idx[at]], int(drawn.half_stars[at]) / 2
        event = {
            "version": 1,
            "user": int(drawn.user_idx[at]) + 1,
            "movie": {"title": movie.title, "year": movie.year},
        }
        events += [
            event | {"kind": "click"},
            event | {"kind": "watch", "fraction": min(1.0, WATCHED_PER_STAR * stars)},
            event | {"kind": "rating", "value": stars},
        ]
    return [
        event | {"movie": UNKNOWN} if number % UNKNOWN_EVERY == 0 else event
        for number, event in enumerate(events, 1)
    ]


def endless(events: list[Event]) -> Iterator[Event]:
    """Repeat the events; in each pass a member has those of another, so that lists go on changing."""
    members = max(event["user"] for event in events)
    for shift in count():
        for event in events:
            yield event | {"user": (event["user"] - 1 + shift) % members + 1}


class Player:
    """Sends the stream to its topic, `rate` events a second since it was made."""

    def __init__(self, brokers: str, events: list[Event], rate: float) -> None:
        make_topic(brokers)
        self.events = endless(events)
        self.rate, self.sent, self.acknowledged = rate, 0, 0
        self.producer = Producer({**quiet(brokers), "linger.ms": 20, "acks": "all"})
        self.began = time.monotonic()

    def send_due(self) -> None:
        """Send the events that are due. Raises KafkaException if the broker refuses one."""
        due = int(self.rate * (time.monotonic() - self.began))
        now = datetime.now(UTC).isoformat()
        while self.sent < due:
            event = next(self.events)
            try:
                self.producer.produce(
                    TOPIC,
                    orjson.dumps(event | {"time": now}),
                    key=str(event["user"]),  # the events of a member stay in order
                    on_delivery=self.on_delivery,
                )
            except BufferError:
                break  # the queue of the producer is full: go on at the next call
            self.sent += 1
        self.producer.poll(0)

    def on_delivery(self, error: KafkaError | None, message: Message) -> None:  # noqa: ARG002
        if error is not None:
            raise KafkaException(error)
        self.acknowledged += 1

    def close(self) -> None:
        self.producer.flush(FLUSH_SECONDS)


def quiet(brokers: str) -> dict[str, Any]:
    """Properties of a client that prints nothing as the broker stops; errors are raised anyway."""
    return {"bootstrap.servers": brokers, "log_level": 2}


def make_topic(brokers: str, name: str = TOPIC) -> None:
    admin = AdminClient(quiet(brokers))
    admin.create_topics([NewTopic(name, PARTITIONS)])[name].result(REQUEST_SECONDS)
