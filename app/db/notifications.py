"""What changes in Postgres, told by Postgres: one connection listens, whoever waits in this process is woken.

A notification belongs to the transaction that caused it (triggers send it): it comes when the change can be
read, and never for one that was rolled back. It says only that something changed: whoever is woken reads.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from app.db.engine import psycopg_url

RETRY_SECONDS = 1.0
# A connection that died without a word is noticed in half a minute.
KEEPALIVE = {"keepalives_idle": "15", "keepalives_interval": "5", "keepalives_count": "3"}

log = logging.getLogger("marquee.changes")


class Topic(StrEnum):
    """Channels; the payload of each is the id of what changed."""

    TASTE = "marquee_taste"  # of the user: ratings, favourite genres, events that count
    SESSION = "marquee_session"  # ended, or gone with its user
    TRAINING = "marquee_training"  # of the job: how far it is


class Changes:
    def __init__(self, database_url: str) -> None:
        self.address = make_conninfo(psycopg_url(database_url), **KEEPALIVE)
        self.waiting: defaultdict[tuple[str, str], set[asyncio.Event]] = defaultdict(set)

    async def follow(self) -> None:
        """Listen for ever; connect again when the connection is lost."""
        while True:
            try:
                await self._listen()
            except psycopg.Error as error:
                log.warning("cannot hear of changes (%s); trying again", error)
            await asyncio.sleep(RETRY_SECONDS)

    @contextmanager
    def watch(self, *names: tuple[Topic, str]) -> Iterator[asyncio.Event]:
        """An event that is set whenever one of these may have changed; clear it before you read.

        It is also set after the connection was lost, since nobody knows what was missed.
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

    async def _listen(self) -> None:
        connection = await psycopg.AsyncConnection.connect(self.address, autocommit=True)
        async with connection:
            for topic in Topic:
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(topic)))
            for events in self.waiting.values():
                wake(events)
            async for notice in connection.notifies():
                wake(self.waiting.get((notice.channel, notice.payload), ()))


def wake(events: Iterable[asyncio.Event]) -> None:
    for event in events:
        event.set()
