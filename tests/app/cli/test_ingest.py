"""`marquee ingest` on a real database: files, refused events, replays."""

import json
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner, Result

from app.cli.commands import app

LOG = """\
2025-02-15T01:49:06,52141,GET /rate/alien+1979=4
2025-02-15T01:49:07,52141,GET /rate/unheard+of+1990=4
{"version":1,"kind":"like","user":8,"movie":{"title":"Alien","year":1979},"time":"2025-02-15T01:49:06Z"}
nonsense
"""


@pytest.fixture(autouse=True)
def environment(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("SECRET_KEY", "a secret of the tests, long enough")
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO movies (title, year) VALUES ('Alien', 1979)")


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(app, ["ingest", *arguments])
    assert result.exit_code == 0, result.output
    return result


def test_a_file_is_stored_and_what_is_refused_is_replayed(tmp_path: Path, database_url: str) -> None:
    log = tmp_path / "movie.log"
    log.write_text(LOG)
    counts = json.loads(run("file", str(log), "--source", "tv", "--json").stdout)
    assert counts == {"STORED": 2, "UNKNOWN_MOVIE": 1, "MALFORMED": 1}
    assert run("file", str(log)).stdout == "No events.\n"
    [state] = json.loads(run("status", "--json").stdout)
    assert (state["partitions"], state["lag"], state["counts"]) == (1, 0, counts)
    assert "lag 0" in run("status").stdout
    listed = run("dead", "list").stdout.splitlines()
    assert listed[0].startswith("MALFORMED at file:movie.log@")
    assert listed[1] == "  nonsense"
    assert listed[-2:] == ["MALFORMED: 1", "UNKNOWN_MOVIE: 1"]
    found = json.loads(run("dead", "list", "--reason", "UNKNOWN_MOVIE", "--json").stdout)
    assert [letter["raw_line"] for letter in found["deadLetters"]] == [LOG.splitlines()[1]]
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO movies (title, year) VALUES ('Unheard Of', 1990)")
    assert run("dead", "replay").stdout.splitlines() == ["MALFORMED: 1", "STORED: 1"]
    assert run("dead", "replay", "--reason", "UNKNOWN_MOVIE").stdout == "No events.\n"
    with psycopg.connect(database_url) as connection:
        rated = "SELECT source, external_id, half_stars FROM ratings JOIN external_members USING (user_id)"
        assert connection.execute(rated).fetchall() == [("tv", "52141", 8), ("tv", "52141", 8)]


def test_a_bad_source_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(LOG)
    refused = CliRunner().invoke(app, ["ingest", "file", str(tmp_path / "log"), "--source", "My TV"])
    assert refused.exit_code == 2
    assert "lower-case" in refused.output
