"""Daily partitions of tables: make them ahead, and drop old ones.

Both take locks for a moment, also on the tables that a partition refers to, and give up if they must wait.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta

import psycopg
from psycopg import sql

# A partition is named after its table and day: `served_lists_20260131`.
NAME = re.compile(r"(.+)_(\d{8})")
# Shorter than Postgres's deadlock_timeout of 1 s, at which it may cancel a request instead.
LOCK_TIMEOUT = "SET LOCAL lock_timeout = '800ms'"
PARTITIONING_LOCK = 7_312_056  # any number that no other code locks

# The values that bound a day, by the type of the column by which a table is partitioned.
BOUNDS = {"date": "{}", "timestamptz": "{} 00:00:00+00"}
PARTITIONS = """
SELECT child.relname FROM pg_inherits
JOIN pg_class AS child ON child.oid = inhrelid WHERE inhparent = to_regclass(%s)
"""


def is_partition(table: str) -> bool:
    return NAME.fullmatch(table) is not None


def today() -> date:
    return datetime.now(UTC).date()


def make(connection: psycopg.Connection, tables: Mapping[str, str], days: Iterable[date]) -> None:
    """Make the missing partitions of these days. `tables`: the type of the partitioning column, by table.

    Raises psycopg.errors.LockNotAvailable if a lock is not free within seconds; nothing is made then.
    """
    days = list(days)
    with connection.transaction():
        connection.execute(LOCK_TIMEOUT)
        for table, of_type in tables.items():
            there = _days_of(connection, table)
            for day in days:
                if day not in there:
                    _make(connection, table, BOUNDS[of_type], day)


def _make(connection: psycopg.Connection, table: str, bound: str, day: date) -> None:
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (PARTITIONING_LOCK,))  # CREATE TABLE IF would race
    statement = sql.SQL("CREATE TABLE IF NOT EXISTS {} PARTITION OF {} FOR VALUES FROM ({}) TO ({})")
    first, last = (bound.format(each) for each in (day, day + timedelta(days=1)))
    connection.execute(
        statement.format(
            sql.Identifier(f"{table}_{day:%Y%m%d}"),
            sql.Identifier(table),
            sql.Literal(first),
            sql.Literal(last),
        )
    )


def drop_before(connection: psycopg.Connection, tables: Iterable[str], day: date) -> int:
    """Drop the partitions of earlier days; return their number. Raises as `make` does."""
    dropped = 0
    for table in tables:
        for old in sorted(each for each in _days_of(connection, table) if each < day):
            with connection.transaction():
                connection.execute(LOCK_TIMEOUT)
                name = sql.Identifier(f"{table}_{old:%Y%m%d}")
                connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(name))
            dropped += 1
    return dropped


def _days_of(connection: psycopg.Connection, table: str) -> set[date]:
    names = connection.execute(PARTITIONS, (table,)).fetchall()
    found = (NAME.fullmatch(name) for (name,) in names)
    return {datetime.strptime(match[2], "%Y%m%d").replace(tzinfo=UTC).date() for match in found if match}
