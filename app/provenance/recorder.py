"""Record each served list, off the path of its request.

A request only appends a record to a queue in memory. A background task of the process writes the queue every
WRITE_SECONDS in a thread, by COPY. A record refers to what the list was computed from, which is immutable;
the thread makes bytes of it. The queue is bounded: while the database is slow or away, further lists are
counted and not recorded.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta

import psycopg

from app.db import partitions
from app.provenance import rows, states
from app.provenance.record import ServedList
from app.serving.live import Live
from app.serving.model import State

WRITE_SECONDS = 1.0
MAX_QUEUED = 4_000  # lists, about 50 MB
MAX_QUEUED_ROWS = 2_000_000  # rows of their histories, about 50 MB
MAX_BATCH = 1_000  # lists of one transaction
MAX_TRIES = 3  # attempts to write a batch that the database refuses
UPKEEP_SECONDS, UPKEEP_RETRY_SECONDS = 3600.0, 60.0
LOG_SECONDS = 60.0  # between two messages of the same failure
DAYS_AHEAD = 3  # partitions that exist before their day, so that a lock that is not free does no harm

log = logging.getLogger("marquee.lists")


@dataclass(slots=True)
class Recorder:
    """The queue of a process, and its writer. `days`: the retention; 0 if lists are not recorded.

    `dropped`: lists that were not recorded. `written`: lists in the database.
    """

    days: int = 0
    queue: deque[ServedList] = field(default_factory=deque)
    batch: list[ServedList] = field(default_factory=list)  # under way
    tries: int = 0
    added_rows: int = 0  # written by the event loop alone
    taken_rows: int = 0  # written by the thread alone
    dropped: int = 0
    reported: int = 0  # of the dropped ones
    written: int = 0
    writing: threading.Lock = field(default_factory=threading.Lock)
    connection: psycopg.Connection | None = None
    stored: rows.Stored = field(default_factory=rows.Stored)
    upkeep_at: float = 0.0
    failure: tuple[str, float] = ("", 0.0)  # the last one logged, and when to log it again
    replaying: asyncio.Lock = field(default_factory=asyncio.Lock)  # one replay at a time in a process

    def add(self, served: ServedList) -> None:
        """Queue a list; count it as dropped if the queue is full."""
        if not self.days:
            return
        if len(self.queue) >= MAX_QUEUED or self.added_rows - self.taken_rows >= MAX_QUEUED_ROWS:
            self.dropped += 1
            return
        self.added_rows += served.history_rows()
        self.queue.append(served)

    async def follow(self, address: str, live: Live) -> None:
        """Write the queue in a loop, forever. `address`: the libpq URL of the database."""
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            model = live.served.model
            await asyncio.to_thread(self.write, address, None if model is None else model.state)

    async def close(self, address: str) -> None:
        """Write the queued lists when the process ends."""
        await asyncio.to_thread(self._close, address)

    def _close(self, address: str) -> None:
        self.write(address)
        if self.queue or self.batch:
            log.warning("%d served lists are not recorded", len(self.queue) + len(self.batch))
        if self.connection is not None:
            self.connection.close()

    def write(self, address: str, state: State | None = None) -> None:
        """Write the queue and, so that updates do not pile up in memory, the served `state` of the model.

        An error is logged. The lists are kept and written later.
        """
        if not self.days:
            if state is not None:
                state.forget()
            return
        with self.writing:
            try:
                self._write(address, state)
            except psycopg.Error as error:
                self._put_off(error)
            except Exception:
                log.exception("cannot record %d served lists", len(self.batch))
                self._give_up()
            if self.dropped > self.reported:
                log.warning("%d served lists are not recorded", self.dropped - self.reported)
                self.reported = self.dropped

    def _write(self, address: str, state: State | None) -> None:
        connection = self.connection = self.connection or connect(address)
        self._keep_up(connection)
        if state is not None and not state.stored:
            with connection.transaction():
                states.store(connection, [state])
            states.forget([state])
        while self.batch or self.queue:
            if not self.batch:
                self.batch = [self.queue.popleft() for _ in range(min(len(self.queue), MAX_BATCH))]
            self.written += rows.store(connection, self.batch, self.stored)
            self.taken_rows += sum(served.history_rows() for served in self.batch)
            self.batch, self.tries = [], 0

    def _put_off(self, error: psycopg.Error) -> None:
        """Close the connection. Give the batch up if the database has refused it MAX_TRIES times."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None
        reason, now = str(error).partition("\n")[0], time.monotonic()
        if reason != self.failure[0] or now >= self.failure[1]:
            log.warning("cannot record served lists: %s", reason)
            self.failure = reason, now + LOG_SECONDS
        if not isinstance(error, psycopg.OperationalError):
            self.tries += 1
        if self.tries >= MAX_TRIES:
            self._give_up()

    def _give_up(self) -> None:
        """Count the batch under way as dropped."""
        self.taken_rows += sum(served.history_rows() for served in self.batch)
        self.dropped += len(self.batch)
        self.batch, self.tries = [], 0

    def _keep_up(self, connection: psycopg.Connection) -> None:
        """Make partitions ahead and remove those older than the retention, now and then."""
        if time.monotonic() < self.upkeep_at:
            return
        self.upkeep_at = time.monotonic() + UPKEEP_RETRY_SECONDS
        day = partitions.today()
        tables = rows.PARTITIONED
        try:
            partitions.make(connection, tables, (day + timedelta(days=ahead) for ahead in range(DAYS_AHEAD)))
            rows.remove_before(connection, day - timedelta(days=self.days))
        except psycopg.errors.LockNotAvailable:
            log.info("the tables of served lists are in use: their partitions are made later")
        else:
            self.upkeep_at = time.monotonic() + UPKEEP_SECONDS


def connect(address: str) -> psycopg.Connection:
    """A connection of the writer. It prepares no statements, for the sake of transaction poolers."""
    return psycopg.connect(
        address,
        autocommit=True,
        prepare_threshold=None,
        connect_timeout=5,
        application_name="marquee lists",
        options="-c statement_timeout=30000 -c timezone=UTC",
    )
