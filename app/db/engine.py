"""Database engines, sessions and URLs.

Functions take the sessionmaker rather than a session, since concurrent resolvers cannot share a session. What
a request reads in one statement, it reads by `Sessions.reads`.
"""

import copy
import select
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import URL, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from app.db.reads import Connection, Reader, Reads
from app.db.replicas import Replica, ReplicaReads, Replicas
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

    `pool` reads from the database of the transactions. `address` is the libpq URL of the database itself, not
    of a transaction pooler.
    """

    reads: Reader
    pool: Reads
    address: str
    replicas: Replicas | None = None

    def of_query(self, names: Sequence[str]) -> "Sessions":
        """These sessions, where replicas may answer the reads of a client with these names."""
        if self.replicas is None:
            return self
        sessions = copy.copy(self)
        sessions.reads = ReplicaReads(self.replicas, names)
        return sessions


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
    arguments = engine_arguments(database_url)
    arguments["connect_args"]["options"] = options_of(settings)
    if not settings.database_prepared_statements:
        arguments["connect_args"]["prepare_threshold"] = None
    reads = reads_of(psycopg_url(database_url), settings)
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

    # SQLAlchemy keeps a connection that is in use at the disposal, with nobody to close it.
    def close_after_disposal(_connection: object, record: ConnectionPoolEntry) -> None:
        if reads.is_ended:
            record.invalidate()

    event.listen(engine.sync_engine, "checkin", close_after_disposal)
    return engine


def options_of(settings: Settings) -> str:
    return f"-c statement_timeout={settings.statement_timeout_ms} -c timezone=UTC"


def reads_of(address: str, settings: Settings) -> Reads:
    """Reads of the database at an address of libpq."""
    # A transaction pooler does not pass it on: there, nothing but review keeps writes out.
    options = f"{options_of(settings)} -c default_transaction_read_only=on"

    async def connect() -> Connection:
        return await AsyncConnection.connect(
            address,
            autocommit=True,
            prepare_threshold=0 if settings.database_prepared_statements else None,
            application_name="marquee",
            options=options,
        )

    return Reads(connect, settings.database_pool_size)


def replicas_of(settings: Settings, primary: Reads) -> Replicas | None:
    """The replicas of the settings, whose reads are observed as those of the primary."""
    if settings.database_read_url is None:
        return None
    replicas = []
    for name, address in addresses_of(settings.database_read_url):
        pool = reads_of(address, settings)
        pool.observers = primary.observers
        replicas.append(Replica(name, pool))
    return Replicas(primary, replicas, settings.database_read_lag_seconds)


def addresses_of(read_url: str) -> list[tuple[str, str]]:
    """The name and the address of each host of a URL. A host that is lost soon ends its connections."""
    given = conninfo_to_dict(psycopg_url(read_url))
    given.pop("target_session_attrs", None)  # a promoted replica is seen by another way
    lists = {key: str(given[key]).split(",") for key in ("host", "hostaddr", "port") if given.get(key)}
    found = []
    for place in range(max(map(len, lists.values()), default=1)):
        # A single port is that of all hosts.
        one = {key: values[min(place, len(values) - 1)] for key, values in lists.items()}
        limits = {key: value for key, value in FAILOVER.items() if key != "target_session_attrs"}
        host = one.get("host") or one.get("hostaddr") or "localhost"
        name = f"{host}:{one.get('port') or 5432}"
        found.append((name, make_conninfo(**(limits | given | one))))
    return found


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
    sessions.reads = sessions.pool = options[READS]
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
