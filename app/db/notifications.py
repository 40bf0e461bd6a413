"""LISTEN/NOTIFY: one connection per process wakes its waiters.

Triggers send notifications as part of a transaction. They arrive once the change can be read, and never for a
transaction that was rolled back. They carry no data, so waiters re-read. With replicas, services also send
the names of clients who write.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from app.db.engine import psycopg_url
from app.db.outages import FaultLog
from app.db.replicas import WRITTEN, Replicas

RETRY_SECONDS = 1.0
# A connection that is silently lost is detected within half a minute.
KEEPALIVE: dict[str, Any] = {"keepalives_idle": "15", "keepalives_interval": "5", "keepalives_count": "3"}

log = logging.getLogger("marquee.changes")


class Topic(StrEnum):
    """Channels, whose payload is the id of the changed row."""

    TASTE = "marquee_taste"  # of a user: ratings, favorite genres, graded events
    SESSION = "marquee_session"  # ended, or deleted with its user
    TRAINING = "marquee_training"  # the progress of a job
    EXPERIMENT = "marquee_experiment"  # of any experiment; the payload is "all"
    PROMOTION = "marquee_promotion"  # of any promotion; the payload is "all"


# The names under which `Replicas` knows the payloads.
NAMES = {WRITTEN: "{}", Topic.TASTE: "member {}", Topic.SESSION: "session {}"}


class Changes:
    """Waiters for notifications, by channel and id. `replicas` notes the writes."""

    def __init__(self, database_url: str, replicas: Replicas | None = None) -> None:
        self.address = kept_alive(database_url)
        self.replicas = replicas
        self.waiting: defaultdict[tuple[str, str], set[asyncio.Event]] = defaultdict(set)

    async def follow(self) -> None:
        """Listen until cancelled; reconnect after a lost connection."""
        faults = FaultLog(log, "cannot listen for notifications")
        while True:
            try:
                await self._listen(faults)
            except psycopg.Error as error:
                faults.note(error)
            finally:
                if self.replicas is not None:
                    self.replicas.stop_hearing()
            await asyncio.sleep(RETRY_SECONDS)

    @contextmanager
    def watch(self, *names: tuple[Topic, str]) -> Iterator[asyncio.Event]:
        """Yield an event that is set whenever one of these may have changed. Clear it before reading.

        It is also set after a reconnection, since notifications may have been missed.
        """
        changed = asyncio.Event()
        for name in names:
            self.waiting[name].add(changed)
        try:
            yield changed
        finally:
            for name in names:
                self.waiting[name].discard(changed)
                if not self.waiting[name]:
                    del self.waiting[name]

    async def _listen(self, faults: FaultLog) -> None:
        connection = await psycopg.AsyncConnection.connect(self.address, autocommit=True)
        async with connection:
            for topic in (*Topic, *([WRITTEN] if self.replicas else [])):
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(topic)))
            faults.end()
            if self.replicas is not None:
                self.replicas.begin_hearing()
            for events in self.waiting.values():
                wake(events)
            async for notice in connection.notifies():
                if self.replicas is not None and (name := NAMES.get(notice.channel)) is not None:
                    self.replicas.note_write(name.format(notice.payload))
                wake(self.waiting.get((notice.channel, notice.payload), ()))


def kept_alive(database_url: str, **options: str) -> str:
    """The connection string for a connection that waits, with KEEPALIVE where the URL does not differ."""
    return make_conninfo(**(KEEPALIVE | options | conninfo_to_dict(psycopg_url(database_url))))


def wake(events: Iterable[asyncio.Event]) -> None:
    for event in events:
        event.set()
