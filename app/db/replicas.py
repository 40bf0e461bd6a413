"""Reads of queries from streaming replicas, and from the primary for clients who have just written.

Each process samples the end of the primary's log, and the place to which each replica has replayed it. So a
replica is known to have all that was committed before the moment of a sample. A client who wrote after this
moment reads from the primary. The processes notify each other of the clients who write. A process that has
lost the notifications reads from the primary.
"""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import takewhile
from typing import Any

import psycopg
from psycopg.errors import QueryCanceled, SerializationFailure

from app.db.outages import FaultLog
from app.db.reads import Connection, Reader, Reads, Row

SAMPLE_SECONDS = 0.1
ANSWER_SECONDS = 1.0  # after which a server that does not answer counts as down
SAMPLES = 600
# Of errors that end a connection, and of lost ones: classes of Postgres's codes. Others are of one read.
ENDED = ("08", "57P")
BEFORE_ALL, AFTER_ALL = float("-inf"), float("inf")  # moments
WRITTEN = "marquee_written"  # the channel of the names of clients who have written

END_OF_LOG = "SELECT (pg_current_wal_flush_lsn() - '0/0')::bigint"
# None of a replica that was promoted: it may have left the primary behind.
REPLAYED = "SELECT (pg_last_wal_replay_lsn() - '0/0')::bigint WHERE pg_is_in_recovery()"
NOTIFY = f"SELECT pg_notify('{WRITTEN}', %(name)s)"

log = logging.getLogger("marquee.replicas")


class Source(StrEnum):
    """The server that answered a read of a query, and why it was the primary."""

    REPLICA = "replica"
    WRITTEN = "written"  # the client has written what no replica has
    BEHIND = "behind"  # no replica answers, within the lag
    FAILED = "failed"  # a replica did not answer this read


@dataclass(slots=True)
class Probe:
    """A question to a server, whose answer is a number, on a connection of its own."""

    pool: Reads
    statement: str
    connection: Connection | None = None

    async def ask(self) -> int | None:
        """The number; None for no row. Raises psycopg.Error, and TimeoutError after ANSWER_SECONDS."""
        # If the server hangs, psycopg takes seconds to cancel a statement. Nothing waits for that.
        asked = asyncio.create_task(self._ask())
        try:
            await asyncio.wait({asked}, timeout=ANSWER_SECONDS)
        finally:
            if not asked.done():
                abandon(asked)
                self.connection = None
        if not asked.done():
            raise TimeoutError("it does not answer")
        return asked.result()

    async def _ask(self) -> int | None:
        connection = self.connection or await self.pool.connect()
        try:
            rows = await (await connection.execute(self.statement)).fetchall()
        except BaseException:
            self.connection = None
            connection.pgconn.finish()
            raise
        self.connection = connection
        return int(rows[0][0]) if rows else None

    def close(self) -> None:
        if self.connection is not None:
            self.connection.pgconn.finish()
            self.connection = None


@dataclass(slots=True, eq=False)
class Replica:
    """A replica. `up_to`: it has what was committed before this moment; `lost`: pending while it answers."""

    name: str
    pool: Reads
    up_to: float = BEFORE_ALL
    lost: "asyncio.Future[None] | None" = None

    @property
    def is_up(self) -> bool:
        return self.lost is not None

    def rise(self) -> None:
        if self.lost is None:
            self.lost = asyncio.get_running_loop().create_future()

    def fall(self) -> None:
        """Let reads in progress go to the primary."""
        if self.lost is not None:
            self.lost.set_result(None)
            self.lost = None
            self.pool.close()

    async def rows(self, statement: str, parameters: Mapping[str, Any]) -> list[Row] | None:
        """The rows; None if the replica is lost or ends the read. Raises psycopg.Error."""
        assert self.lost is not None
        reading = asyncio.ensure_future(self.pool.rows(statement, parameters))
        try:
            either: set[asyncio.Future[Any]] = {reading, self.lost}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                return None
            return reading.result()
        except QueryCanceled:
            raise  # the statement exceeded its time limit
        except SerializationFailure:  # it held up the replay, so the replica ended it
            return None
        except psycopg.OperationalError as error:
            if error.sqlstate is None or error.sqlstate.startswith(ENDED):
                self.fall()
            return None
        finally:
            if not reading.done():
                abandon(reading)


@dataclass(slots=True, eq=False)
class Replicas:
    """The replicas of a primary. `most_lag`: seconds, from which a replica is not read."""

    primary: Reads
    replicas: Sequence[Replica]
    most_lag: float
    counts: Counter[Source] = field(default_factory=lambda: Counter(dict.fromkeys(Source, 0)))
    samples: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=SAMPLES))
    written: dict[str, float] = field(default_factory=dict)  # when clients wrote, the latest last
    heard_since: float = AFTER_ALL
    turn: int = 0

    async def rows(self, names: Sequence[str], statement: str, parameters: Mapping[str, Any]) -> list[Row]:
        """The rows, with all that the client of these names has written. Raises psycopg.Error."""
        source = self.source(names)
        if isinstance(source, Replica):
            rows = await source.rows(statement, parameters)
            if rows is not None:
                self.counts[Source.REPLICA] += 1
                return rows
            source = Source.FAILED
        self.counts[source] += 1
        return await self.primary.rows(statement, parameters)

    def source(self, names: Sequence[str]) -> Replica | Source:
        """The replica that answers now, or why the primary does."""
        near = [each for each in self.replicas if each.is_up and self.lag(each) <= self.most_lag]
        if not near or self.heard_since == AFTER_ALL:
            return Source.BEHIND
        since = max((self.written.get(name, BEFORE_ALL) for name in names), default=BEFORE_ALL)
        having = [each for each in near if each.up_to > max(since, self.heard_since)]
        if not having:
            return Source.WRITTEN
        self.turn += 1
        return having[self.turn % len(having)]

    def lag(self, replica: Replica) -> float:
        """Seconds by which the replica is behind the last sample of the primary."""
        return self.samples[-1][0] - replica.up_to if self.samples else AFTER_ALL

    def note_write(self, name: str) -> None:
        self.written.pop(name, None)
        self.written[name] = time.monotonic()

    async def announce(self, name: str) -> None:
        """Let all processes know that the client has written."""
        self.note_write(name)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self.primary.rows(NOTIFY, {"name": name})
        except TimeoutError:
            log.warning("cannot notify of a write: the primary does not answer")
        except psycopg.Error as error:  # without the primary a process is not notified, and reads no replica
            log.warning("cannot notify of a write: %s", str(error).partition("\n")[0])

    def begin_hearing(self) -> None:
        self.heard_since = time.monotonic()

    def stop_hearing(self) -> None:
        self.heard_since = AFTER_ALL

    async def follow(self) -> None:
        """Sample the primary and the replicas until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:  # without one of them, no replica is read
                tasks.create_task(self._follow_primary())
                for each in self.replicas:
                    tasks.create_task(self._follow_replica(each))
        finally:
            for each in self.replicas:
                each.pool.end()

    async def _follow_primary(self) -> None:
        probe = Probe(self.primary, END_OF_LOG)
        try:
            while True:
                began = time.monotonic()
                try:
                    if (end := await probe.ask()) is not None:
                        self.sample(began, end)
                except (psycopg.Error, TimeoutError):
                    pass  # requests and other tasks log it
                await asyncio.sleep(SAMPLE_SECONDS)
        finally:
            probe.close()

    def sample(self, moment: float, end: int) -> None:
        """Note the end of the log at a moment, and forget writes that each replica in use has replayed."""
        if self.samples and self.samples[-1][1] == end:
            self.samples.pop()
        self.samples.append((moment, end))
        since = moment - self.most_lag
        for name in list(takewhile(lambda name: self.written[name] < since, self.written)):
            del self.written[name]

    async def _follow_replica(self, replica: Replica) -> None:
        probe = Probe(replica.pool, REPLAYED)
        faults = FaultLog(log, f"the replica {replica.name} answers no reads")
        try:
            while True:
                try:
                    if (replayed := await probe.ask()) is None:
                        raise psycopg.OperationalError("it is not a replica")
                    self.advance(replica, replayed)
                    replica.rise()
                    faults.end()
                except (psycopg.Error, TimeoutError) as error:
                    replica.fall()
                    faults.note(error)
                await asyncio.sleep(SAMPLE_SECONDS)
        finally:
            probe.close()
            replica.fall()

    def advance(self, replica: Replica, replayed: int) -> None:
        """Note how much of the log a replica has replayed."""
        for moment, end in reversed(self.samples):
            if moment <= replica.up_to:
                return
            if end <= replayed:
                replica.up_to = moment
                return


@dataclass(frozen=True, slots=True)
class ReplicaReads(Reader):
    """Reads of one client, whose writes are known by these names."""

    replicas: Replicas
    names: Sequence[str]

    async def rows(self, statement: str, parameters: Mapping[str, Any]) -> list[Row]:
        return await self.replicas.rows(self.names, statement, parameters)

    async def row_if_any(self, statement: str, parameters: Mapping[str, Any]) -> Row | None:
        return await self.row(statement, parameters) or await self.replicas.primary.row(statement, parameters)


def abandon(task: "asyncio.Future[Any]") -> None:
    """Cancel a task whose result is not needed."""
    task.cancel()
    task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
