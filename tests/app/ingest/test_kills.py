"""`marquee ingest file` is killed while it writes to a given table. The next call stores each event once."""

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bench.processes.start_service import PROGRAM
from tests.conftest import ROOT

SECONDS = 60
LINES = """\
2025-02-15T01:49:06,1,GET /rate/alien+1979=4
2025-02-15T01:49:06,1,GET /data/m/alien+1979/30.mpg
2025-02-15T01:49:06,2,GET /rate/alien+1979=3
nonsense
"""
WAIT = """
CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_sleep(600); RETURN NULL; END $$;
CREATE TRIGGER wait AFTER {} ON {} FOR EACH STATEMENT EXECUTE FUNCTION wait()
"""
WAITING = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
STATE = {
    "ratings": 2, "feedback": 1, "dead_letters": 1, "external_members": 2, "users": 2, "movie_stats": 1,
}  # fmt: skip


def start(database_url: str, path: Path) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "SECRET_KEY": "a secret of the tests, long enough",
    }
    return subprocess.Popen(
        [*PROGRAM, "ingest", "file", str(path)], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
    )


def rows(connection: psycopg.Connection[Any], query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query.encode()).fetchall()


@pytest.mark.parametrize("table", ["external_members", "dead_letters", "ratings", "stream_positions"])
def test_a_kill_loses_and_doubles_nothing(database_url: str, tmp_path: Path, table: str) -> None:
    (tmp_path / "log").write_text(LINES)
    # The first row of a position is inserted before all else, and updated after it.
    moment = "UPDATE" if table == "stream_positions" else "INSERT OR UPDATE"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO movies (title, year, runtime_minutes) VALUES ('Alien', 1979, 117)")
        connection.execute(WAIT.format(moment, table).encode())
        process = start(database_url, tmp_path / "log")
        deadline = time.monotonic() + SECONDS
        while not (waiting := rows(connection, WAITING)):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.02)
        process.kill()
        process.wait()
        for (pid,) in waiting:  # Postgres does not notice the death of a client while it sleeps
            connection.execute("SELECT pg_terminate_backend(%s, 10000)", (pid,))
        assert [rows(connection, f"SELECT count(*) FROM {name}") for name in STATE] == [[(0,)]] * len(STATE)  # noqa: S608
        connection.execute(f"DROP TRIGGER wait ON {table}".encode())
        for _ in range(2):
            assert start(database_url, tmp_path / "log").wait(SECONDS) == 0
            counts = {name: rows(connection, f"SELECT count(*) FROM {name}")[0][0] for name in STATE}  # noqa: S608
            assert counts == STATE
            assert rows(connection, "SELECT outcome, events FROM stream_counts ORDER BY 1") == [
                ("MALFORMED", 1), ("STORED", 3)
            ]  # fmt: skip
