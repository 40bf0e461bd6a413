"""Store a batch of rows, or dead letters again, by the path of streams: one COPY, and one statement each for
ratings and events.

A batch is stored in one transaction. With an idempotency key its outcome is stored too, and a retry gets it.
A batch that outlives its request is rolled back.
"""

import asyncio
import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import orjson
import psycopg

from app.accounts import external_members
from app.accounts.api_keys import ApiKey
from app.accounts.external_members import MemberMerged
from app.db.engine import Sessions
from app.db.unless_ended import Request, unless_ended
from app.ingest.clean_events import Cleaned
from app.ingest.member_batches.rows import InvalidRows, MemberRows, RefusedRow, lines_of, rows_in
from app.ingest.store_events import REPEATED, STORED, Store
from app.ingest.stream_events import Refusal
from app.ingest.stream_movies import Connection, StreamMovies
from app.settings import Settings

MAX_KEY_LENGTH = 200
MAX_REFUSED = 1_000  # refused rows that an outcome lists
KEPT_DAYS = 7  # of outcomes
FORGOTTEN_AT_ONCE = 1_000
REPLAYED_AT_ONCE = 500  # dead letters

_CLAIM = """
INSERT INTO member_batches (api_key_id, idempotency_key, checksum, outcome) VALUES (%s, %s, %s, '{}')
ON CONFLICT (api_key_id, idempotency_key) DO NOTHING RETURNING 1
"""
_STORED = "SELECT checksum, outcome FROM member_batches WHERE (api_key_id, idempotency_key) = (%s, %s)"
_CONCLUDE = "UPDATE member_batches SET outcome = %s WHERE (api_key_id, idempotency_key) = (%s, %s)"
_FORGET = """
DELETE FROM member_batches WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM member_batches WHERE stored_at < now() - make_interval(days => %s) LIMIT %s
    FOR UPDATE SKIP LOCKED))
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The numbers of rows that were stored, that changed nothing and that were refused.

    `refused` has at most MAX_REFUSED of them. `again`: the batch was stored before, by its idempotency key.
    """

    stored: int
    repeated: int
    refused_count: int
    refused: list[RefusedRow]
    again: bool = False

    def json(self) -> str:
        rows = [[row.position, row.reason.value, row.rule] for row in self.refused]
        numbers = {"stored": self.stored, "repeated": self.repeated, "refusedCount": self.refused_count}
        return orjson.dumps(numbers | {"refused": rows}).decode()

    @classmethod
    def of_json(cls, value: dict[str, Any]) -> "Outcome":
        rows = [RefusedRow(position, Refusal(reason), rule) for position, reason, rule in value["refused"]]
        return cls(value["stored"], value["repeated"], value["refusedCount"], rows, again=True)


@dataclass(slots=True)
class MemberBatches:
    """Stores batches in a thread, one at a time in a process. `movies`: the catalog, to find movies in."""

    movies: StreamMovies = field(default_factory=StreamMovies)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def store(
        self,
        sessions: Sessions,
        settings: Settings,
        key: ApiKey,
        jsonl: str,
        idempotency_key: str | None,
        *,
        ratings: bool,
    ) -> Outcome:
        """Store a batch; durable when this returns. Raises InvalidRows, and then nothing is stored."""
        if idempotency_key is not None and not (
            0 < len(idempotency_key) <= MAX_KEY_LENGTH and idempotency_key.isprintable()
        ):
            raise InvalidRows(f"The idempotency key must have 1 to {MAX_KEY_LENGTH} printable characters.")
        batch = SentBatch(settings, sessions.address, key, jsonl, idempotency_key, ratings)
        async with self.turn:
            return await unless_ended(lambda request: asyncio.to_thread(batch.store, self.movies, request))

    async def replay(
        self, sessions: Sessions, settings: Settings, before: int, reason: Refusal | None
    ) -> tuple[Counter[str], int | None]:
        """Store the newest REPLAYED_AT_ONCE dead letters below an id again, as `Store.replay` does."""

        def work(request: Request) -> tuple[Counter[str], int | None]:
            with connected(sessions.address, settings) as connection, connection.transaction():
                replayed = Store(connection, settings, self.movies).replay(REPLAYED_AT_ONCE, before, reason)
                request.check()
            return replayed

        async with self.turn:
            return await unless_ended(lambda request: asyncio.to_thread(work, request))


def connected(address: str, settings: Settings) -> Connection:
    timeout = f"-c statement_timeout={settings.statement_timeout_ms} -c timezone=UTC"
    return psycopg.connect(address, autocommit=True, options=timeout)


@dataclass(frozen=True, slots=True)
class SentBatch:
    settings: Settings
    address: str
    key: ApiKey
    jsonl: str
    idempotency_key: str | None
    ratings: bool

    def store(self, movies: StreamMovies, request: Request) -> Outcome:
        lines = lines_of(self.jsonl)
        assert self.key.source is not None, "a key with the scope MEMBERS has one"
        rows = rows_in(lines, self.key.source, ratings=self.ratings)
        with connected(self.address, self.settings) as connection:
            store = Store(connection, self.settings, movies)

            def work() -> Outcome:
                outcome = self._once(store, rows)
                request.check()
                return outcome

            return store.in_transaction(work)

    def _once(self, store: Store, rows: MemberRows) -> Outcome:
        """Store the rows, unless they were stored under the idempotency key. Raises InvalidRows."""
        if self.idempotency_key is None:
            return self._write(store, rows)
        connection, name = store.connection, (self.key.id, self.idempotency_key)
        checksum = hashlib.sha256(f"{self.ratings} {self.jsonl}".encode(errors="surrogatepass")).digest()
        if connection.execute(_CLAIM, (*name, checksum)).fetchone() is None:
            known, outcome = connection.execute(_STORED, name).fetchone() or (b"", {})
            if bytes(known) != checksum:
                raise InvalidRows("The idempotency key was sent before with other rows: send a new one.")
            return Outcome.of_json(outcome)
        outcome = self._write(store, rows)
        connection.execute(_CONCLUDE, (outcome.json(), *name))
        connection.execute(_FORGET, (KEPT_DAYS, FORGOTTEN_AT_ONCE))
        return outcome

    def _write(self, store: Store, rows: MemberRows) -> Outcome:
        refused, cleaned = list(rows.refused), Cleaned()
        foreign = self._foreign(store, rows)
        for position, event in rows.events:
            movie = store.movies.find(event.movie)
            if (event.source, event.external_id) in foreign:
                refused.append(RefusedRow(position, Refusal.MEMBER, str(MemberMerged())))
            elif isinstance(movie, str):
                refused.append(RefusedRow(position, Refusal.UNKNOWN_MOVIE, movie))
            else:
                cleaned.events.append((event, movie))
        store.write(cleaned)
        counts: Counter[str] = cleaned.counts
        shown = sorted(refused)[:MAX_REFUSED]
        return Outcome(counts[STORED], counts[REPEATED], len(refused), shown)

    def _foreign(self, store: Store, rows: MemberRows) -> set[external_members.Pair]:
        """The members of the rows that were merged into accounts for which the key may not act."""
        pairs = {(event.source, event.external_id) for _, event in rows.events}
        found = external_members.find(store.connection, pairs)
        assert self.key.source is not None
        foreign = external_members.foreign(store.connection, found.values(), self.key.source)
        return {pair for pair, user_id in found.items() if user_id in foreign}
