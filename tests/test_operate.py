"""The procedures of docs/operate.md: backup and restore, upgrade while members go on, and rollback."""

import re
import shutil
from pathlib import Path

import httpx
import psycopg
import pytest
from alembic import command
from typer.testing import CliRunner

from app.cli.commands import app
from app.db import migrations
from tests.services import Service, StartServer

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "operate.md").read_text()
SECRET = "a secret of the tests, long enough"
SIGN_UP = """mutation ($name: String!) { signUp(input: { username: $name, password: "a-long-password" }) {
    ... on AuthPayload { accessToken } } }"""
MOVIES = "{ recommendations(first: 5) { edges { node { id } } } }"
RATE = """mutation ($movie: ID!) { rateMovie(input: { movieId: $movie, stars: 4.5 }) { __typename } }"""
# A migration of a later release, within the rules of docs/migrations.md.
NEXT = """
from alembic import op

revision = "9999"
down_revision = "{newest}"


def upgrade():
    with op.get_context().autocommit_block():  # with both in one transaction it deadlocks with ratings
        op.execute("ALTER TABLE movies ADD of_the_next_release text")
        op.execute("ALTER TABLE ratings ADD weight real NOT NULL DEFAULT 1")
    op.execute("CREATE TABLE of_the_next_release (id bigint PRIMARY KEY)")
"""


def commands_in(section: str) -> list[list[str]]:
    """The `marquee` commands in the code of a section of the page."""
    _, found, text = PAGE.partition(f"## {section}\n")
    assert found, section
    code = "\n".join(re.findall(r"```sh\n(.*?)```", text.partition("\n## ")[0], re.DOTALL))
    return [line.split()[1:] for line in code.splitlines() if line.startswith("marquee ")]


def test_a_backup_is_restored_by_the_commands_of_the_page(
    seeded_database_url: str,
    empty_database_url: str,
    model_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    environment = {"SECRET_KEY": SECRET, "COLUMNS": "80"}
    of_source = {"DATABASE_URL": seeded_database_url, "MODEL_DIR": str(model_dir)}
    of_copy = {"DATABASE_URL": empty_database_url, "MODEL_DIR": str(tmp_path / "models")}
    for section, database in (("Backup", of_source), ("Restore", of_copy)):
        (arguments,) = commands_in(section)
        ended = CliRunner().invoke(app, arguments, env=environment | database)
        assert ended.exit_code == 0, ended.output
    query = (
        b"SELECT version, (SELECT count(*) FROM ratings), (SELECT count(*) FROM users) "
        b"FROM model_versions WHERE status = 'ACTIVE'"
    )
    found = []
    for url in (seeded_database_url, empty_database_url):
        with psycopg.connect(url) as connection:
            found.append(connection.execute(query).fetchall())
    assert found[0] == found[1]
    assert (tmp_path / "models" / str(found[0][0][0])).is_dir()


def migrate_later(database_url: str, folder: Path) -> None:
    """Migrate a database to a later release."""
    shutil.copytree(ROOT / "migrations", folder / "migrations")
    (folder / "migrations" / "versions" / "9999_next.py").write_text(
        NEXT.format(newest=migrations.revisions()[0])
    )
    config = migrations.scripts()
    config.set_main_option("script_location", str(folder / "migrations"))
    config.attributes["database_url"] = database_url
    command.upgrade(config, "head")
    assert migrations.revision_of(database_url) == "9999"


def as_member(service: Service, name: str) -> None:
    """Sign up, read a list and rate a movie of it, with the tables that the migration changes."""
    with httpx.Client(base_url=service.url, timeout=60) as client:

        def ask(query: str, **variables: str) -> dict[str, dict[str, object]]:
            answer = client.post("/graphql", json={"query": query, "variables": variables}).json()
            assert "errors" not in answer, answer
            found: dict[str, dict[str, object]] = answer["data"]
            return found

        token = ask(SIGN_UP, name=name)["signUp"]["accessToken"]
        client.headers["Authorization"] = f"Bearer {token}"
        movies = ask(MOVIES)["recommendations"]["edges"]
        assert isinstance(movies, list)
        assert ask(RATE, movie=movies[0]["node"]["id"])["rateMovie"]["__typename"] == "RateMoviePayload"
        assert client.get("/readyz").json()["status"] == "ok"


def test_an_upgrade_and_a_rollback_lose_no_request(
    seeded_database_url: str, start_server: StartServer, tmp_path: Path
) -> None:
    """The later release migrates under this one, which serves on and is then started on its database."""
    before = start_server(seeded_database_url)
    as_member(before, "before")
    migrate_later(seeded_database_url, tmp_path)
    as_member(before, "meanwhile")  # step 2 of the upgrade: the former release goes on

    # The rollback: a process of the former release starts on the migrated database, and the other one stops.
    environment = {"DATABASE_URL": seeded_database_url, "SECRET_KEY": SECRET, "COLUMNS": "200"}
    migrated = CliRunner().invoke(app, ["migrate"], env=environment)
    assert migrated.exit_code == 0, migrated.output
    assert "of a later release" in migrated.output
    after = start_server(seeded_database_url)
    before.process.terminate()
    as_member(after, "after")
    with psycopg.connect(seeded_database_url) as connection:
        found = connection.execute(
            "SELECT count(*) FROM ratings JOIN users ON users.id = user_id "
            "WHERE username IN ('before', 'meanwhile', 'after')"
        ).fetchone()
    assert found == (3,)
