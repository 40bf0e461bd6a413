"""Meter the processor time of an operation: in the event loop, in threads, and in Postgres.

The task factory and the executor of this module pass the meter on to the tasks and threads that an operation
starts. A connection of the pool is metered from checkout to return.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import Context, ContextVar
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from time import monotonic_ns, thread_time_ns
from typing import Any, Self, TypeVar
from weakref import WeakKeyDictionary, finalize

from psycopg import AsyncConnection
from sqlalchemy import Engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from app.db.reads import Connection, Observer, Reads

CORES = os.cpu_count() or 1
LINE = 64  # bytes of a schedstat file

Result = TypeVar("Result")
Clock = Callable[[], int]


class Meter:
    """Processor time of one operation. `late`, once set, is called whenever time is added."""

    __slots__ = ("_since", "_total", "late")

    def __init__(self) -> None:
        self._total = 0
        self._since: int | None = None
        self.late: Callable[[], object] | None = None

    @property
    def nanoseconds(self) -> int:
        """The total, including the step that is running."""
        return self._total + (0 if self._since is None else thread_time_ns() - self._since)

    def add(self, nanoseconds: int) -> None:
        self._total += nanoseconds
        if self.late is not None:
            self.late()

    def run(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Call a function and add its time to this meter."""
        token = METER.set(self)
        self._since = began = thread_time_ns()
        try:
            return function(*arguments)
        finally:
            self._since = None
            self._total += thread_time_ns() - began
            METER.reset(token)
            if self.late is not None:
                self.late()


METER: ContextVar[Meter | None] = ContextVar("meter", default=None)


class MeteredCoroutine(Coroutine[Any, Any, Result]):
    """A coroutine whose steps add their time to a meter."""

    __slots__ = ("coroutine", "meter")

    def __init__(self, coroutine: Coroutine[Any, Any, Result], meter: Meter) -> None:
        self.coroutine = coroutine
        self.meter = meter

    def send(self, value: Any) -> Any:
        return self.meter.run(self.coroutine.send, value)

    def throw(self, *raised: Any) -> Any:
        return self.meter.run(self.coroutine.throw, *raised)

    def close(self) -> None:
        self.coroutine.close()

    def __next__(self) -> Any:
        return self.meter.run(self.coroutine.send, None)

    def __iter__(self) -> Self:
        return self

    def __await__(self) -> Generator[Any, Any, Result]:
        return self


def metered_task(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Result], **options: Any
) -> "asyncio.Task[Result]":
    """Task factory: tasks of an operation add their time to its meter."""
    context: Context | None = options.get("context")
    meter = METER.get() if context is None else context.get(METER)
    return asyncio.Task(
        coroutine if meter is None else MeteredCoroutine(coroutine, meter), loop=loop, **options
    )


class Threads(ThreadPoolExecutor):
    """Threads whose work is added to the meter of the operation, even if it ends after the operation."""

    def submit(self, fn: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Future[Result]:
        meter = METER.get()
        if meter is None:
            return super().submit(fn, *args, **kwargs)
        return super().submit(timed, partial(fn, *args, **kwargs), meter, asyncio.get_running_loop())


def timed(function: Callable[[], Result], meter: Meter, loop: asyncio.AbstractEventLoop) -> Result:
    began = thread_time_ns()
    try:
        return function()
    finally:
        spent = thread_time_ns() - began
        with suppress(RuntimeError):  # the loop is closed
            # In a new context, so that this call is not metered itself.
            loop.call_soon_threadsafe(meter.add, spent, context=Context())


def meter_event_loop() -> None:
    """Meter operations in the running event loop and its default threads."""
    loop = asyncio.get_running_loop()
    loop.set_task_factory(metered_task)  # type: ignore[arg-type] # the protocol has no options before 3.13
    loop.set_default_executor(Threads(thread_name_prefix="worker"))


class Waiting:
    """A clock for a remote database, whose processor time cannot be read: an upper estimate.

    It runs while the event loop is idle and connections are checked out, and more slowly if there are more of
    them than cores.
    """

    def __init__(self) -> None:
        self.out = 0
        self._idle = self._total = 0

    def __call__(self) -> int:
        idle = monotonic_ns() - thread_time_ns()
        self._total += (idle - self._idle) * CORES // max(self.out, CORES)
        self._idle = idle
        return self._total


def meter_database(engine: Engine, reads: Reads) -> None:
    """Meter Postgres on the connections of this engine's pool, and of the reads."""
    waiting = Waiting()
    reads.observers.append(metered_read(waiting))

    def connected(_: Any, record: ConnectionPoolEntry) -> None:
        record.info["clock"] = BackendClock.of(record.driver_connection)

    def closed(_: Any, record: ConnectionPoolEntry) -> None:
        if (clock := record.info.pop("clock", None)) is not None:
            clock.close()

    def checked_out(_: Any, record: ConnectionPoolEntry, _fairy: Any) -> None:
        assert record.record_info is not None
        meter = METER.get()
        if meter is not None:
            clock: Clock = record.info.get("clock") or waiting
            record.record_info["metered"] = meter, clock, clock()
        waiting()
        waiting.out += 1

    def checked_in(_: Any, record: ConnectionPoolEntry) -> None:
        assert record.record_info is not None
        meter, clock, began = record.record_info.pop("metered", (None, None, 0))
        if meter is not None:
            meter.add(max(0, clock() - began))
        waiting()
        waiting.out -= 1

    event.listen(engine, "connect", connected)
    event.listen(engine, "close", closed)
    event.listen(engine, "checkout", checked_out)
    event.listen(engine, "checkin", checked_in)


def metered_read(waiting: Waiting) -> Observer:
    """Add the time of each read to the meter of its operation."""
    clocks: WeakKeyDictionary[Connection, Clock] = WeakKeyDictionary()

    def clock_of(connection: Connection) -> Clock:
        clock: Clock | None = clocks.get(connection)
        if clock is None:
            of_backend = BackendClock.of(connection)
            if of_backend is not None:
                finalize(connection, of_backend.close)
            clock = clocks[connection] = of_backend or waiting
        return clock

    @contextmanager
    def metered(connection: Connection, _statement: str) -> Iterator[None]:
        clock, meter = clock_of(connection), METER.get()
        began = clock()
        waiting()
        waiting.out += 1
        try:
            yield
        finally:
            if meter is not None:
                meter.add(max(0, clock() - began))
            waiting()
            waiting.out -= 1

    return metered


class BackendClock:
    """Processor time of a Postgres process on this machine, in nanoseconds."""

    def __init__(self, file: int) -> None:
        self.file = file
        self.last = 0

    @classmethod
    def of(cls, connection: AsyncConnection[Any] | None) -> Self | None:
        """None if the process cannot be read: on another machine, or behind a pooler."""
        if connection is None or not is_local(connection.info.host):
            return None
        process = Path("/proc") / str(connection.info.backend_pid)
        try:
            if (process / "comm").read_text() != "postgres\n":
                return None
            return cls(os.open(process / "schedstat", os.O_RDONLY | os.O_CLOEXEC))
        except OSError:
            return None

    def __call__(self) -> int:
        with suppress(OSError, ValueError):  # the process has ended
            self.last = int(os.pread(self.file, LINE, 0).partition(b" ")[0])
        return self.last

    def close(self) -> None:
        os.close(self.file)
        self.file = -1


def is_local(host: str) -> bool:
    """Whether libpq reaches the host by a socket in the file system or over loopback."""
    try:
        return host.startswith("/") or host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
