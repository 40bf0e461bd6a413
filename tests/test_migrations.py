"""Migrations up and down beside a running service, and exact counts of triggers."""

import os
import random
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy.exc import OperationalError
from typer.testing import CliRunner

from app.cli.commands import app
from app.db import migrations

ROOT = Path(__file__).parent.parent


@pytest.fixture
def config(database_url: str) -> Config:
    """Alembic's settings for a database at the newest revision."""
    config = Config(toml_file=ROOT / "pyproject.toml")
    config.attributes["database_url"] = database_url
    return config


def column(url: str, query: str) -> list[object]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute(query.encode())]


def execute(url: str, statement: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(statement.encode())


def our_objects(url: str) -> dict[str, list[object]]:
    relations = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1"
    functions = (
        "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND NOT EXISTS "
        "(SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e') ORDER BY 1"
    )
    return {"relations": column(url, relations), "functions": column(url, functions)}


def test_downgrades_to_an_empty_database_and_upgrades_again(database_url: str, config: Config) -> None:
    at_head = our_objects(database_url)
    command.downgrade(config, "base")
    assert our_objects(database_url) == {
        "relations": ["alembic_version", "alembic_version_pkc"],
        "functions": [],
    }
    migrations.upgrade(database_url)
    assert our_objects(database_url) == at_head
    migrations.upgrade(database_url)  # no change
    assert our_objects(database_url) == at_head


def test_outdated_databases_are_detected_and_newer_ones_accepted(
    database_url: str, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not migrations.is_behind(database_url)
    execute(database_url, "UPDATE alembic_version SET version_num = 'of a later release'")
    assert not migrations.is_behind(database_url)
    execute(database_url, "UPDATE alembic_version SET version_num = '0001'")
    assert migrations.is_behind(database_url)
    execute(database_url, "DELETE FROM alembic_version")
    assert migrations.is_behind(database_url)
    assert migrations.is_behind(empty_database_url)
    monkeypatch.setenv("SECRET_KEY", "a secret of the tests, long enough")
    for address, message in (
        (empty_database_url, "lacks migrations"),
        ("postgresql://u@127.0.0.1:1/d", "reached"),
    ):
        monkeypatch.setenv("DATABASE_URL", address)
        for command_line in (["serve"], ["train"], ["seed", "bundled"]):
            refused = CliRunner().invoke(app, command_line, env={"COLUMNS": "200", "PORT": "0"})
            assert refused.exit_code == 1
            assert message in refused.output


def test_no_drift_between_tables_and_migrations(config: Config) -> None:
    command.check(config)


def test_the_command_works_from_the_root_and_migrators_wait_for_each_other(empty_database_url: str) -> None:
    migrators = [
        subprocess.Popen(
            [sys.executable, "-m", "alembic", "upgrade", "head"],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": empty_database_url},
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [migrator.communicate(timeout=100)[1] for migrator in migrators]
    assert [migrator.returncode for migrator in migrators] == [0, 0], said
    assert len(column(empty_database_url, "SELECT version_num FROM alembic_version")) == 1


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"lock_timeout": "100ms"}, "lock timeout"),
        ({"lock_timeout": "0", "statement_timeout": "300ms"}, "statement timeout"),
    ],
)
def test_a_migration_times_out_instead_of_blocking_the_service(
    database_url: str, config: Config, attributes: dict[str, str], message: str
) -> None:
    command.downgrade(config, "0001")  # each migration has its own transaction
    config.attributes.update(attributes)
    before = our_objects(database_url)
    with psycopg.connect(database_url) as reader:
        reader.execute("SELECT count(*) FROM movies")  # an open transaction
        with pytest.raises(OperationalError, match=message):
            command.downgrade(config, "base")
    assert our_objects(database_url) == before
    del config.attributes["lock_timeout"]
    config.attributes.pop("statement_timeout", None)
    command.downgrade(config, "base")  # and released its lock


def run_at_once(database_url: str, work: Callable[[psycopg.Connection, random.Random], None]) -> None:
    def run(seed: int) -> None:
        with psycopg.connect(database_url, autocommit=True) as connection:
            work(connection, random.Random(seed))  # noqa: S311 - not a secret

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(4)))


def test_movie_statistics_stay_exact_under_concurrent_writers(database_url: str) -> None:
    def write(connection: psycopg.Connection, rng: random.Random) -> None:
        for _ in range(150):
            user, movie, half_stars = rng.randint(1, 6), rng.randint(1, 4), rng.randint(1, 10)
            if rng.random() < 0.4:
                connection.execute("DELETE FROM ratings WHERE user_id = %s AND movie_id = %s", (user, movie))
            else:
                connection.execute(
                    "INSERT INTO ratings (user_id, movie_id, half_stars) VALUES (%s, %s, %s) "
                    "ON CONFLICT (user_id, movie_id) DO UPDATE SET half_stars = excluded.half_stars",
                    (user, movie, half_stars),
                )

    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO users (username) SELECT 'user ' || n FROM generate_series(1, 8) n")
        connection.execute("INSERT INTO movies (title) SELECT 'movie ' || n FROM generate_series(1, 5) n")
        connection.execute(
            "INSERT INTO ratings SELECT u, m, 7 FROM generate_series(7, 8) u, generate_series(1, 5) m"
        )
    run_at_once(database_url, write)
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM users WHERE id = 8")
        connection.execute("DELETE FROM movies WHERE id = 5")
        connection.execute("UPDATE ratings SET half_stars = 3 WHERE user_id = 7")
    kept = (
        "SELECT ARRAY[movie_id, rating_count, half_stars_sum] FROM movie_stats "
        "WHERE rating_count > 0 ORDER BY 1"
    )
    true = "SELECT ARRAY[movie_id, count(*), sum(half_stars)] FROM ratings GROUP BY movie_id ORDER BY 1"
    assert column(database_url, kept) == column(database_url, true)
    assert len(column(database_url, true)) == 4
    assert column(
        database_url, "SELECT count(*) FROM movie_stats WHERE movie_id = 5 OR rating_count < 0"
    ) == [0]


def test_every_change_of_the_catalog_is_counted(database_url: str) -> None:
    changes = [
        "INSERT INTO movies (title) VALUES ('Alien')",
        "UPDATE movies SET year = 1979",
        "INSERT INTO movie_titles (movie_id, title, source) VALUES (1, 'Alien', 'TMDB')",
        "INSERT INTO genres (name) VALUES ('Horror')",
        "INSERT INTO movie_genres (movie_id, genre_id) VALUES (1, 1)",
        "INSERT INTO people (name) VALUES ('Ridley Scott')",
        "INSERT INTO credits (movie_id, kind, position, person_id) VALUES (1, 'DIRECTOR', 0, 1)",
        "DELETE FROM movie_genres",
        "DELETE FROM credits",
        "TRUNCATE genres, movie_genres, favorite_genres, list_preferences, promotions",
    ]
    revision = 0
    for change in changes:
        execute(database_url, change)
        (now,) = column(database_url, "SELECT revision FROM catalog_revision")
        assert isinstance(now, int)
        assert now > revision, change
        revision = now


def test_a_replaced_title_is_kept_beside_its_movie(database_url: str) -> None:
    former = "SELECT title || ' ' || source FROM movie_titles WHERE movie_id = 1 ORDER BY 1"
    execute(database_url, "INSERT INTO movies (title, original_title) VALUES ('Seven', NULL), ('Other', 'X')")
    execute(database_url, "INSERT INTO movie_titles VALUES (1, 'Seven', 'MOVIELENS')")
    for change in (
        "UPDATE movies SET title = 'Se7en' WHERE id = 1",  # a source gave the former title
        "UPDATE movies SET year = 1995",
        "UPDATE movies SET original_title = 'Sieben' WHERE id = 1",
        "UPDATE movies SET original_title = NULL WHERE id = 1",
        "UPDATE movies SET title = 'Seven Sins' WHERE id = 1",
        "UPDATE movies SET title = 'Se7en' WHERE id = 1",
    ):
        execute(database_url, change)
    assert column(database_url, former) == [
        "Se7en FORMER", "Seven MOVIELENS", "Seven Sins FORMER", "Sieben FORMER"
    ]  # fmt: skip
    assert column(database_url, "SELECT count(*) FROM movie_titles WHERE movie_id = 2") == [0]
    for number in range(120):
        execute(database_url, f"UPDATE movies SET title = '{number}' WHERE id = 1")  # noqa: S608
    assert column(database_url, "SELECT count(*) FROM movie_titles") == [100]
    execute(database_url, "DELETE FROM movies")
    assert column(database_url, "SELECT count(*) FROM movie_titles") == [0]


def test_ratings_do_not_count_as_changes_of_the_catalog(database_url: str) -> None:
    execute(database_url, "INSERT INTO movies (title) VALUES ('Alien')")
    execute(database_url, "INSERT INTO users (username) VALUES ('ripley')")
    before = column(database_url, "SELECT revision FROM catalog_revision")
    execute(database_url, "INSERT INTO ratings (user_id, movie_id, half_stars) VALUES (1, 1, 9)")
    assert column(database_url, "SELECT revision FROM catalog_revision") == before
