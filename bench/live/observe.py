"""Observe a stream: how much of it is stored, and the next list of one of its members."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg

from app.accounts import access_tokens
from app.cli.database import local_secret
from app.ingest.kafka_topics import read_topics
from app.settings import Settings
from bench.live.stream import TOPIC

MEMBER = "1"  # the external id of the observed member
SHOWN = 2  # movies of the list
NEXT_LIST = """
query($first: Int!) {
  recommendations(first: $first) { requestId edges { reasons { text } node { title year } } }
}
"""
COUNTS = """
SELECT (SELECT coalesce(sum(next_position), 0)::bigint FROM stream_positions WHERE stream = %(stream)s),
    (SELECT coalesce(jsonb_object_agg(outcome, events), '{}') FROM stream_counts WHERE stream = %(stream)s)
"""
FIND = "SELECT user_id FROM external_members WHERE (source, external_id) = (%s, %s)"
BEGIN_SESSION = "INSERT INTO sessions (id, user_id, expires_at) VALUES (%s, %s, now() + interval '30 days')"
DELETE_MEMBERS = "DELETE FROM users WHERE id IN (SELECT user_id FROM external_members WHERE source = %s)"
DELETE_DEAD_LETTERS = "DELETE FROM dead_letters WHERE default_source = %s"
STORED, REPEATED = "STORED", "REPEATED"


@dataclass(frozen=True, slots=True)
class Counts:
    """Events of the stream that the ingester has finished, by outcome."""

    read: int
    stored: int
    repeated: int
    dead: int

    @staticmethod
    def of(read: int, by_outcome: Mapping[str, int]) -> "Counts":
        dead = sum(events for outcome, events in by_outcome.items() if outcome not in (STORED, REPEATED))
        return Counts(read, by_outcome.get(STORED, 0), by_outcome.get(REPEATED, 0), dead)


@dataclass(slots=True)
class Observer:
    """Reads the counts from Postgres, and the list from the service as the member would."""

    url: str
    database_url: str
    stream: str
    settings: Settings
    session: tuple[int, UUID] | None = None  # of the observed member
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=10))

    def counts(self) -> Counts:
        """Raises psycopg.OperationalError."""
        with psycopg.connect(self.database_url) as connection:
            row = connection.execute(COUNTS, {"stream": self.stream}).fetchone()
            assert row is not None
            return Counts.of(*row)

    def next_list(self) -> str:
        """The first movies of the member's next list, in one line.

        Raises psycopg.OperationalError or httpx.HTTPError.
        """
        if self.session is None:
            self.session = self._begin_session()
        if self.session is None:
            return f"member {MEMBER} has no event yet"
        token, _ = access_tokens.issue(self.settings, *self.session)
        body = {"query": NEXT_LIST, "variables": {"first": SHOWN}}
        headers = {"Authorization": f"Bearer {token}"}
        answer = self.http.post(f"{self.url}/graphql", json=body, headers=headers).json()
        if "errors" in answer:
            return f"no list: {answer['errors'][0]['message']}"
        found = answer["data"]["recommendations"]
        movies = " | ".join(named(edge) for edge in found["edges"])
        return f"next for member {MEMBER}: {movies} ({found['requestId']})"

    def _begin_session(self) -> tuple[int, UUID] | None:
        """Begin a session of the member, who has no password; None before their first event."""
        with psycopg.connect(self.database_url) as connection:
            row = connection.execute(FIND, (TOPIC, MEMBER)).fetchone()
            if row is None:
                return None
            session_id = uuid4()
            connection.execute(BEGIN_SESSION, (session_id, row[0]))
            return row[0], session_id


def named(edge: dict[str, Any]) -> str:
    """The movie of an edge with the first reason for it."""
    movie = f"{edge['node']['title']} ({edge['node']['year']})"
    return ": ".join([movie, *(reason["text"] for reason in edge["reasons"][:1])])


def observer(url: str, database_url: str, brokers: str, data_dir: Path) -> Observer:
    settings = Settings.model_validate({"secret_key": local_secret(data_dir), "data_dir": data_dir})
    topics = read_topics({"bootstrap.servers": brokers}, [TOPIC], None, threading.Event())
    return Observer(url, database_url, topics[TOPIC].stream.name, settings)


def delete_members(database_url: str) -> None:
    """Delete the streamed members of earlier runs, so that a run begins with new ones."""
    with psycopg.connect(database_url) as connection:
        connection.execute(DELETE_MEMBERS, (TOPIC,))
        connection.execute(DELETE_DEAD_LETTERS, (TOPIC,))
