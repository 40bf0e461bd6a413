"""`marquee promote` and `marquee hide`: what operators do to all lists."""

import json

import psycopg
import pytest
from typer.testing import CliRunner, Result

from app.cli.commands import app

WORLD = """
INSERT INTO movies (id, title, collection) VALUES (5, 'The Fifth', NULL), (6, 'Alien', 'Alien Collection');
INSERT INTO genres (id, name) VALUES (1, 'Horror');
"""


@pytest.fixture(autouse=True)
def _settings(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("SECRET_KEY", "a secret of the tests, long enough")
    with psycopg.connect(database_url) as connection:
        connection.execute(WORLD)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments])


def listed() -> list[tuple[str, bool]]:
    found = json.loads(run("promote", "list", "--json").stdout)
    return [(each["kind"], each["live"]) for each in found]


def test_a_promotion_from_start_to_withdrawal() -> None:
    for arguments in (
        ("pin", "--movie", "5"),
        ("pin", "--movie", "TW92aWU6Ng=="),
        ("boost", "--genre", "horror", "--strength", "1.5"),
        ("boost", "--collection", "alien collection"),
    ):
        done = run("promote", *arguments)
        assert done.exit_code == 0, done.output
        assert "is stored" in done.stdout
    assert listed() == [("BOOST", True), ("BOOST", True), ("PIN", True), ("PIN", True)]
    table = run("promote", "list").stdout
    assert "The Fifth" in table
    assert "Alien Collection" in table
    assert "boost 1.5" in table
    assert max(map(len, table.splitlines())) <= 80
    newest = json.loads(run("promote", "list", "--json").stdout)[0]["id"]
    assert run("promote", "withdraw", str(newest)).exit_code == 0
    assert listed()[0] == ("BOOST", False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("pin", "--movie", "99"), "no such movie"),
        (("pin", "--movie", "UGVyc29uOjU="), "is not the id of a movie"),
        (("pin", "--genre", "Opera"), "no genre 'Opera'"),
        (("boost", "--collection", "none"), "no collection 'none'"),
        (("boost", "--movie", "5", "--strength", "9"), "strength must be from"),
        (("pin", "--movie", "5", "--until", "2020-01-01"), "endsAt must be after the start"),
        (("pin", "--movie", "5", "--from", "2400-01-01"), "at most 366 days ahead"),
        (("withdraw", "99"), "no such promotion"),
        (("pin",), "name one of --movie"),
        (("pin", "--movie", "5", "--genre", "Horror"), "name one of --movie"),
    ],
)
def test_what_breaks_a_rule_is_refused(arguments: tuple[str, ...], message: str) -> None:
    refused = run("promote", *arguments)
    assert refused.exit_code in (1, 2)
    assert message in " ".join(refused.output.replace("│", " ").split())
    assert listed() == []


def test_a_movie_is_hidden_and_shown_again(database_url: str) -> None:
    hidden = run("hide", "5", "TW92aWU6Ng==")
    assert hidden.exit_code == 0, hidden.output
    assert "5  The Fifth" in hidden.stdout
    with psycopg.connect(database_url) as connection:
        changes = connection.execute("SELECT count(*) FROM catalog_changes WHERE movie_id IN (5, 6)")
        assert changes.fetchall() == [(2,)]  # services follow them
    assert "Alien" in run("hide").stdout
    assert run("hide", "99").exit_code == 1
    assert "No movie is hidden." in run("hide", "5", "6", "--undo").stdout
