"""Database engines, sessions and URLs.

Functions take the sessionmaker rather than a session, since concurrent resolvers cannot share a session. What
a request reads in one statement, it reads by `Sessions.reads`.
"""

import select
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import URL, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from app.db.reads import Connection, Reads
from app.settings import Settings

FULL_DISK_SECONDS = 30.0  # for which the disk counts as full after a failed write

# Options of an engine: its Reads, and the libpq URL of its database.
READS, ADDRESS = "reads", "address"
# Parameters of libpq for a database of several hosts: connect to the one that writes, and go on to the next
# one soon. A host that is lost without a word ends a connection after 5 to 8 seconds.
FAILOVER: dict[str, Any] = {
    "target_session_attrs": "primary",
    "connect_timeout": "2",
    "tcp_user_timeout": "5000",
    "keepalives_idle": "2",
    "keepalives_interval": "2",
    "keepalives_count": "3",
}
LOCK_POLL_SECONDS = 0.5


@dataclass(slots=True)
class FullDisk:
    """The monotonic time at which the database last refused a write because its disk is full."""

    seen_at: float = float("-inf")

    def note(self, context: ExceptionContext) -> None:
        """Handle an error of an engine."""
        if isinstance(context.original_exception, psycopg.errors.DiskFull):
            self.seen_at = time.monotonic()

    def is_recent(self) -> bool:
        return time.monotonic() < self.seen_at + FULL_DISK_SECONDS


class Sessions(async_sessionmaker[AsyncSession]):
    """Makes sessions of transactions. `reads` reads without one.

    `address` is the libpq URL of the database itself, not of a transaction pooler.
    """

    reads: Reads
    address: str


def psycopg_url(database_url: str) -> str:
    """The URL for libpq, from a URL with any `postgres` scheme.

    SQLAlchemy takes a space in a URL, and writes one for `%20`; libpq refuses both. A URL of several hosts
    gets the parameters of FAILOVER that it does not set itself.
    """
    _, rest = database_url.split("://", 1)
    url = f"postgresql://{rest.replace(' ', '%20')}"
    given = conninfo_to_dict(url)
    if "," not in f"{given.get('host')}{given.get('hostaddr')}":
        return url
    return f"postgresql:///?{urlencode(FAILOVER | given, quote_via=quote)}"


def engine_arguments(database_url: str) -> dict[str, Any]:
    """The arguments with which `create_engine` of SQLAlchemy connects as libpq does.

    A URL of SQLAlchemy cannot name several hosts with their ports.
    """
    name = {"application_name": "marquee"}
    return {
        "url": URL.create("postgresql+psycopg", query=name),
        "connect_args": {"conninfo": psycopg_url(database_url)},
    }


def create_engine(database_url: str, settings: Settings) -> AsyncEngine:
    """An engine of two pools: of connections for transactions, and for `Reads`."""
    options = f"-c statement_timeout={settings.statement_timeout_ms} -c timezone=UTC"
    arguments = engine_arguments(database_url)
    arguments["connect_args"]["options"] = options
    if not settings.database_prepared_statements:
        arguments["connect_args"]["prepare_threshold"] = None
    reads = reads_of(database_url, settings, options)
    engine = create_async_engine(
        **arguments,
        pool_size=settings.database_pool_size,
        max_overflow=settings.database_pool_size,
        hide_parameters=True,  # keeps parameters out of logged errors
        execution_options={READS: reads, ADDRESS: psycopg_url(database_url)},
    )
    event.listen(engine.sync_engine, "handle_error", remove_row_details)
    event.listen(engine.sync_engine, "checkout", check_connection)
    event.listen(engine.sync_engine, "engine_disposed", lambda _: reads.end())
    return engine


def reads_of(database_url: str, settings: Settings, options: str) -> Reads:
    address = psycopg_url(database_url)
    # A transaction pooler does not pass it on: there, nothing but review keeps writes out.
    options += " -c default_transaction_read_only=on"

    async def connect() -> Connection:
        return await AsyncConnection.connect(
            address,
            autocommit=True,
            prepare_threshold=0 if settings.database_prepared_statements else None,
            application_name="marquee",
            options=options,
        )

    return Reads(connect, settings.database_pool_size)


def check_connection(connection: Any, _record: ConnectionPoolEntry, _fairy: object) -> None:
    """Replace a pooled connection that its other end has closed. Takes no round trip.

    Reads what the server has sent meanwhile, which is rarely anything but the reason why it ended.
    """
    libpq = connection.driver_connection.pgconn
    try:
        poll = select.poll()
        poll.register(libpq.socket, select.POLLIN)
        while poll.poll(0):
            libpq.consume_input()
    except psycopg.OperationalError:
        raise InvalidatePoolError from None


def remove_row_details(context: ExceptionContext) -> None:
    """Remove the refused row, which Postgres shows in DETAIL, from an error that may be logged."""
    original = context.original_exception
    if isinstance(original, psycopg.Error) and original.diag.message_detail:
        for error in filter(None, (original, context.sqlalchemy_exception)):
            error.args = tuple(str(each).partition("\nDETAIL:")[0] for each in error.args)


def sessionmaker(engine: AsyncEngine, direct_url: str | None = None) -> Sessions:
    """`direct_url`: where the engine connects to a transaction pooler, the URL of the database itself."""
    sessions = Sessions(engine, expire_on_commit=False)
    options = engine.get_execution_options()
    sessions.reads = options[READS]
    sessions.address = psycopg_url(direct_url) if direct_url else options[ADDRESS]
    return sessions


def lock(connection: psycopg.Connection[Any], number: int, waits: Callable[[], None]) -> None:
    """Take an advisory lock that lasts as long as the connection, which must be in autocommit mode.

    `waits` is called once if another connection holds the lock. The lock is polled, since a waiting statement
    would hold back vacuum.
    """
    assert connection.autocommit
    statement = "SELECT pg_try_advisory_lock(%s)"
    if connection.execute(statement, (number,)).fetchone() == (True,):
        return
    waits()
    while connection.execute(statement, (number,)).fetchone() != (True,):
        time.sleep(LOCK_POLL_SECONDS)
