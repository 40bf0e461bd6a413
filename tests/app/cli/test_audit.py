"""Commands that change what operators control are in the audit log, as mutations are."""

from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner, Result

from app.cli.commands import app

WORLD = "INSERT INTO movies (id, title) VALUES (5, 'The Fifth')"
ENTRIES = """
SELECT act, arguments -> 'input', outcome, address, user_id IS NULL AND api_key_id IS NULL FROM audit_log
ORDER BY id
"""


@pytest.fixture(autouse=True)
def _settings(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("SECRET_KEY", "a secret of the tests, long enough")
    monkeypatch.setenv("LOGNAME", "olga")
    with psycopg.connect(database_url) as connection:
        connection.execute(WORLD)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments])


def entries(url: str) -> list[tuple[str, dict[str, Any], str]]:
    with psycopg.connect(url) as connection:
        found = connection.execute(ENTRIES).fetchall()
    assert all(address == "command line, olga" and nobody for *_, address, nobody in found)
    return [(act, given, outcome) for act, given, outcome, _, _ in found]


def test_what_is_done_and_what_is_refused_is_noted(database_url: str) -> None:
    arms = ("--arm", "plain=0.5", "--arm", "varied=0.5,diversity=0.4")
    assert run("experiment", "start", "shelves", *arms, "--days", "7").exit_code == 0
    assert run("experiment", "start", "shelves", *arms).exit_code == 1
    assert run("experiment", "stop", "shelves").exit_code == 0
    assert run("models", "activate", "20260101-1").exit_code == 1
    assert run("models", "rollback").exit_code == 1
    assert run("promote", "pin", "--movie", "5").exit_code == 0
    assert run("hide", "5").exit_code == 0
    assert run("create-key", "backend", "--source", "tv").exit_code == 0
    found = entries(database_url)
    assert [(act, outcome) for act, _, outcome in found] == [
        ("startExperiment", "done"),
        ("startExperiment", "NameTaken"),
        ("stopExperiment", "done"),
        ("activateModel", "ModelNotFound"),
        ("rollbackModel", "NothingToRollBack"),
        ("promote", "done"),
        ("setMovieHidden", "done"),
        ("createApiKey", "done"),
    ]
    given = [given for _, given, _ in found]
    assert given[0] == {"name": "shelves", "arms": [arms[1], arms[3]], "layer": "default", "days": 7}
    assert given[3] == {"version": "20260101-1"}
    assert given[5] == {"kind": "PIN", "movie": "5"}
    assert given[6] == {"movieIds": ["5"], "hidden": True}
    assert given[7] == {"name": "backend", "scopes": ["MEMBERS"], "source": "tv"}


def test_reading_is_not_noted(database_url: str) -> None:
    for command in (("models", "list"), ("experiment", "list"), ("promote", "list"), ("hide",)):
        assert run(*command).exit_code == 0
    assert entries(database_url) == []
