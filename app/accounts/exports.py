"""Export all data held on a member as one JSON object in a file.

Tables that refer to members are found by their foreign keys, so that tables added later are exported as well.
The database makes the JSON of each row. The process copies it to the file in pieces of ROWS_AT_ONCE rows, so
that memory is bounded and the event loop runs between them.
"""

import asyncio
import weakref
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from threading import Thread
from typing import Any

import orjson
from pydantic.alias_generators import to_camel
from sqlalchemy import (
    ColumnElement,
    Double,
    FromClause,
    LargeBinary,
    Select,
    Text,
    cast,
    func,
    literal_column,
    or_,
    select,
    text,
)

from app.db import (  # registers their tables
    account_tables,  # noqa: F401
    activity_tables,  # noqa: F401
    experiment_tables,  # noqa: F401
    provenance_tables,  # noqa: F401
    steering_tables,  # noqa: F401
    stream_tables,  # noqa: F401
    training_tables,  # noqa: F401
)
from app.db.engine import Sessions
from app.db.tables import Base, Movie, User

SECRETS = ("password_hash",)
MEMBERS = User.__table__
ROWS_AT_ONCE = 500
BYTES_AT_ONCE = 1 << 16
SMALL = 1 << 20  # bytes of an export that stays in memory
SECONDS = 300.0
AT_ONCE = 2  # concurrent exports of a process


class ExportUnderWay(Exception):
    """Another export of the same member is being made or sent."""


class ExportTooLarge(Exception):
    """An export too large to send from memory. `size` in bytes."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


class Export:
    """JSON text in a temporary file, which is deleted when it is closed.

    Not a dataclass: orjson would serialize its fields. `size` in bytes. `seconds`: the longest time to send
    it. `release` is called when it is closed.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        self.file = SpooledTemporaryFile[bytes](SMALL)
        self.size = 0
        self.seconds = seconds
        self.release: Callable[[], object] = self.file.close

    async def write(self, piece: bytes) -> None:
        """Append to the file, in a thread, since the disk may be slow."""
        await asyncio.to_thread(self.file.write, piece)
        self.size += len(piece)

    async def parts(self) -> AsyncGenerator[bytes]:
        """Yield the text from its beginning, BYTES_AT_ONCE at a time."""
        for start in range(0, self.size, BYTES_AT_ONCE):
            yield await asyncio.to_thread(self._read, start, BYTES_AT_ONCE)

    def whole(self) -> bytes:
        """The whole text. Raises ExportTooLarge if it is larger than SMALL."""
        if self.size > SMALL:
            raise ExportTooLarge(self.size)
        return self._read(0, SMALL)

    def close(self) -> None:
        self.release()

    def _read(self, start: int, size: int) -> bytes:
        self.file.seek(start)
        return self.file.read(size)


@dataclass(slots=True)
class Exports:
    """The exports of a process: AT_ONCE are made concurrently, and one for each member until it is sent.

    `seconds`: the longest time to make an export, and again to send it.
    """

    seconds: float = SECONDS
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    members: set[int] = field(default_factory=set)

    async def make(
        self, sessions: Sessions, user_id: int, while_made: AbstractContextManager[object]
    ) -> Export:
        """Make a member's export, after a wait for a place. Raises ExportUnderWay or TimeoutError."""
        if user_id in self.members:
            raise ExportUnderWay
        self.members.add(user_id)
        made = Export(self.seconds)
        made.release = end = weakref.finalize(made, self.end, made.file, user_id)  # also if it is never sent
        end.atexit = False  # no thread starts then, and the system deletes the file
        try:
            async with self.places:
                with while_made:
                    async with asyncio.timeout(self.seconds):
                        await export(sessions, user_id, made)
        except BaseException:
            made.close()
            raise
        return made

    def end(self, file: SpooledTemporaryFile[bytes], user_id: int) -> None:
        """Close the file of an export, and let the member have another.

        In a thread, since the system takes a millisecond for each 10 MB of a file that it deletes.
        """
        self.members.discard(user_id)
        Thread(target=file.close, name="closing an export").start()


async def export(sessions: Sessions, user_id: int, made: Export) -> None:
    """Write all rows held on a member from one snapshot of the database, by table, movies with titles.

    Only hashes of secrets are left out.
    """
    async with sessions() as session:
        await session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
        await session.execute(text("SET LOCAL statement_timeout = 0"))  # `Exports.seconds` limits the whole
        before = b"{"
        for table, condition in held_on(user_id).items():
            await made.write(before + orjson.dumps(to_camel(str(table.description))) + b":[")
            lines = await session.stream_scalars(
                json_of(table, condition), execution_options={"yield_per": ROWS_AT_ONCE}
            )
            separator = b""
            async for part in lines.partitions():
                await made.write(separator + ",".join(part).encode())
                separator = b","
            before = b"],"
        await made.write(b"]}")


def held_on(user_id: int) -> dict[FromClause, ColumnElement[bool]]:
    """The tables that refer to members, directly or through another table, and the condition for the rows."""
    conditions: dict[FromClause, ColumnElement[bool]] = {MEMBERS: MEMBERS.c.id == user_id}
    for table in Base.metadata.sorted_tables:
        referring = [
            key.parent.in_(select(key.column).where(conditions[key.column.table]))
            for key in table.foreign_keys
            if key.column.table in conditions and (key.column.table is MEMBERS or key.ondelete == "CASCADE")
        ]
        if referring:
            conditions[table] = or_(*referring)
    return conditions


def json_of(table: FromClause, condition: ColumnElement[bool]) -> Select[str]:
    """Select the JSON text of rows, in the order of the primary key."""
    columns: list[ColumnElement[Any]] = [
        (cast(column, Double) / 2).label("stars")
        if column.name == "half_stars"
        else column.label(to_camel(column.name))
        for column in table.c
        if not isinstance(column.type, LargeBinary) and column.name not in SECRETS
    ]
    rows = select(*columns).where(condition).order_by(*table.primary_key)
    if "movie_id" in table.c:
        named = rows.join(Movie, Movie.id == table.c.movie_id, isouter=bool(table.c.movie_id.nullable))
        rows = named.add_columns(Movie.title)
    line = rows.subquery("line")
    return select(cast(func.row_to_json(literal_column("line")), Text)).select_from(line)
