"""Measure the bytes of a rating and of an event, and whether a member's history costs more among more rows.

    python -m bench.growth [--ratings 1000000] [--events 1000000] [--page FILE]

The rows are random; one member has the same history throughout. It is read by the statement of a request for
a list, first among a tenth of the rows and then among all of them. Its cost is the number of pages of 8 kB
that Postgres touches, which does not depend on the machine.
"""

import argparse
import json
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from app.activity import feedback
from app.db import migrations
from app.db.embedded import embedded_postgres
from app.recommendations.history import HISTORY_SQL
from bench.figures import ROOT, commit_subject, hardware

PAGE = ROOT / "docs" / "bench" / "growth.md"
MOVIES = 20_000
RATINGS_EACH, EVENTS_EACH = 100, 400  # of a member, on average
PROBE_RATINGS, PROBE_EVENTS = 200, 500
TABLES = {"ratings": "rating", "feedback": "event"}

MEMBERS = "INSERT INTO users (username) SELECT 'member-' || n FROM generate_series(1, %s) AS n"
CATALOG = "INSERT INTO movies (title, year) SELECT 'Movie ' || n, 1990 FROM generate_series(1, %s) AS n"
RATINGS = """
INSERT INTO ratings (user_id, movie_id, half_stars, rated_at)
SELECT %(first)s + n / %(each)s, 1 + (n %% %(each)s) * %(step)s + n / %(each)s %% %(step)s, 1 + n %% 10,
    now() - n * interval '1 second'
FROM generate_series(0, %(rows)s - 1) AS n
"""
EVENTS = """
INSERT INTO feedback (user_id, movie_id, kind, request_id, position, occurred_at, idempotency_key)
SELECT %(first)s + n / %(each)s, 1 + n * 7919::bigint %% %(movies)s,
    CASE WHEN n %% 20 = 0 THEN 'LIKE' WHEN n %% 5 = 0 THEN 'CLICK' ELSE 'IMPRESSION' END,
    gen_random_uuid(), n %% 20, now() - n * interval '1 second', gen_random_uuid()::text
FROM generate_series(0, %(rows)s - 1) AS n
"""


@dataclass(frozen=True, slots=True)
class Result:
    """`pages`: of the history of the same member, among a tenth of the rows and among all."""

    bytes_per_row: dict[str, tuple[float, float]]  # of the table, of its indexes
    pages: tuple[int, int]


def measured(address: str, ratings: int, events: int) -> Result:
    migrations.upgrade(address)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("SET marquee.bulk = 'on'")  # no triggers
        members = max(ratings // RATINGS_EACH, events // EVENTS_EACH)
        connection.execute(MEMBERS, (1 + members,))
        connection.execute(CATALOG, (MOVIES,))
        add(connection, 1, RATINGS, PROBE_RATINGS, PROBE_RATINGS)
        add(connection, 1, EVENTS, PROBE_EVENTS, PROBE_EVENTS)
        tenths = ratings // 10, events // 10
        add(connection, 2, RATINGS, tenths[0], RATINGS_EACH)
        add(connection, 2, EVENTS, tenths[1], EVENTS_EACH)
        before = pages(connection)
        add(connection, 2 + tenths[0] // RATINGS_EACH, RATINGS, ratings - tenths[0], RATINGS_EACH)
        add(connection, 2 + tenths[1] // EVENTS_EACH, EVENTS, events - tenths[1], EVENTS_EACH)
        after = pages(connection)
        return Result({table: bytes_per_row(connection, table) for table in TABLES}, (before, after))


def add(connection: psycopg.Connection, first: int, statement: str, rows: int, each: int) -> None:
    """Add rows of members from `first` on, each with `each` of them."""
    step = MOVIES // each
    parameters = {"first": first, "rows": rows, "each": each, "step": step, "movies": MOVIES}
    connection.execute(statement.encode(), parameters)


def pages(connection: psycopg.Connection) -> int:
    """Pages that the statement of a member's history touches in its plan."""
    connection.execute("VACUUM ANALYZE ratings, feedback")
    statement = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {HISTORY_SQL}"
    row = connection.execute(statement.encode(), feedback.parameters_of(1, shown=True)).fetchone()
    assert row is not None
    plan = (json.loads(row[0]) if isinstance(row[0], str) else row[0])[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def bytes_per_row(connection: psycopg.Connection, table: str) -> tuple[float, float]:
    row = connection.execute(
        f"SELECT count(*), pg_table_size('{table}'), pg_indexes_size('{table}') FROM {table}".encode()  # noqa: S608 - a constant
    ).fetchone()
    assert row is not None
    return row[1] / row[0], row[2] / row[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--ratings", type=int, default=1_000_000)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--page", type=Path, help=f"write a Markdown page, such as {PAGE.relative_to(ROOT)}")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as name,
        embedded_postgres(Path(name), options={"fsync": "off"}) as address,
    ):
        result = measured(address, options.ratings, options.events)
    text = table(result)
    print(text)  # noqa: T201 - it is a command
    if options.page:
        options.page.write_text(page(text, options), encoding="utf-8")


def table(result: Result) -> str:
    rows = [
        f"| bytes per {TABLES[name]}: table, indexes | {own:.0f}, {indexes:.0f} |"
        for name, (own, indexes) in result.bytes_per_row.items()
    ]
    among = [
        f"| pages of a member's history, among {part} | {n:,} |"
        for part, n in zip(("a tenth", "all"), result.pages, strict=True)
    ]
    return "\n".join(["| | |", "|---|--:|", *rows, *among])


def page(text: str, options: argparse.Namespace) -> str:
    return f"""\
# Growth

Written by `python -m bench.growth --ratings {options.ratings} --events {options.events}` at the commit
"{commit_subject()}", {datetime.now(UTC):%Y-%m-%d}, on {hardware()}.

Random rows of {MOVIES:,} movies; the keys of events are UUIDs. The history of one member,
{PROBE_RATINGS} ratings and {PROBE_EVENTS} events, is read by the statement of a request for a list, first
among a tenth of the rows.

{text}
"""


if __name__ == "__main__":
    main()
