"""Reads of one statement each, on connections of their own that keep their statements prepared.

A session of SQLAlchemy begins a transaction for a read and rolls it back, at which psycopg drops all prepared
statements: four round trips, and each statement is parsed and planned again. Here a read is one message to
Postgres and its answer. The connections are in autocommit mode. No message checks them before use: a read
whose connection was lost is sent once more on a new one. So statements that write are not for them, and
Postgres refuses those.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import AsyncConnection
from psycopg.pq import TransactionStatus
from psycopg.types.numeric import Int8
from sqlalchemy import ClauseElement
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

DIALECT = PGDialect_psycopg()  # type: ignore[no-untyped-call] # SQLAlchemy's

Connection = AsyncConnection[tuple[Any, ...]]
Row = tuple[Any, ...]
Number = TypeVar("Number", bound=np.number)

# The header of a one-dimensional array of `array_send`; each element is preceded by its length.
# https://github.com/postgres/postgres/blob/REL_18_STABLE/src/backend/utils/adt/arrayfuncs.c, array_send
ARRAY_HEADER_BYTES = 20

# Surrounds a read on a connection, for meters and traces.
Observer = Callable[[Connection, str], AbstractContextManager[Any]]


def sql_of(statement: ClauseElement) -> str:
    """The text of a statement whose parameters all have names, made once, for `Reads`."""
    return str(statement.compile(dialect=DIALECT))


class Reader(ABC):
    """The source of reads: the pool of one server, or several servers."""

    @abstractmethod
    async def rows(self, statement: str, parameters: Mapping[str, Any]) -> list[Row]:
        """The rows of a statement of `sql_of`. Raises psycopg.Error."""

    async def row(self, statement: str, parameters: Mapping[str, Any]) -> Row | None:
        """The first row of a statement, or None. Raises psycopg.Error."""
        rows = await self.rows(statement, parameters)
        return rows[0] if rows else None

    async def row_if_any(self, statement: str, parameters: Mapping[str, Any]) -> Row | None:
        """The first row; None only if the primary has none, since a replica may not have it yet."""
        return await self.row(statement, parameters)


@dataclass
class Reads(Reader):
    """Runs reads, `most` at a time. `connect` opens a connection for them."""

    connect: Callable[[], Awaitable[Connection]]
    most: int
    observers: list[Observer] = field(default_factory=list)
    idle: list[Connection] = field(default_factory=list)
    used: int = 0
    closings: int = 0  # connections that are opened before one are not kept after it
    is_ended: bool = False  # no connection is kept
    _turns: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._turns = asyncio.Semaphore(self.most)

    async def rows(self, statement: str, parameters: Mapping[str, Any]) -> list[Row]:
        """The rows of a statement of `sql_of`. Raises psycopg.Error."""
        # By default the type of a number depends on its size, and each type is another prepared statement.
        values = {name: Int8(value) if type(value) is int else value for name, value in parameters.items()}
        async with self._turns:
            if self.idle:
                connection = self.idle.pop()
                try:
                    return await self._read(connection, self.closings, statement, values)
                except psycopg.OperationalError:
                    if not connection.closed:
                        raise
                    self.close()  # what ended one connection has ended the others too
            closings = self.closings
            return await self._read(await self.connect(), closings, statement, values)

    def close(self) -> None:
        """Close the idle connections, and those in use after their read; `rows` opens new ones."""
        self.closings += 1
        for connection in self.idle:
            connection.pgconn.finish()
        self.idle.clear()

    def end(self) -> None:
        """Close all connections, and that of each later read after the read."""
        self.is_ended = True
        self.close()

    async def _read(
        self, connection: Connection, closings: int, statement: str, values: Mapping[str, Any]
    ) -> list[Row]:
        """Read, then keep the connection unless `close` was called since `closings` was read."""
        self.used += 1
        try:
            with ExitStack() as observed:
                for observer in self.observers:
                    observed.enter_context(observer(connection, statement))
                cursor = connection.cursor(binary=True)
                await cursor.execute(statement, values)
                return await cursor.fetchall()
        finally:
            self.used -= 1
            # A read that was canceled may have left its statement running.
            is_idle = connection.pgconn.transaction_status == TransactionStatus.IDLE
            if is_idle and closings == self.closings and not self.is_ended:
                self.idle.append(connection)
            else:
                connection.pgconn.finish()


def array_in(sent: bytes | None, of: type[Number]) -> NDArray[Number]:
    """Decode an array without nulls of `array_send`, (n,); NULL is an empty array."""
    if sent is None:
        return np.empty(0, of)
    value = np.dtype(of)
    element = np.dtype([("length", ">i4"), ("value", value.newbyteorder(">"))])
    rows = np.frombuffer(sent, element, offset=min(ARRAY_HEADER_BYTES, len(sent)))
    return rows["value"].astype(value)
