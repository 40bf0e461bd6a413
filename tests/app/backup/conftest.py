from pathlib import Path

import psycopg
import pytest

from app.backup.contents import DumpParts
from app.backup.dump import dump
from seeds.files.report import quiet
from tests.app.backup.filled import FILL
from tests.conftest import cloned


@pytest.fixture
def source(seeded_database_url: str) -> str:
    """A database with rows in every table of a dump."""
    with psycopg.connect(seeded_database_url) as connection:
        connection.execute(FILL.encode())
    return seeded_database_url


@pytest.fixture(scope="module")
def source_dump(postgres_url: str, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dump of a small database."""
    folder = tmp_path_factory.mktemp("dumps") / "dump"
    with cloned(postgres_url, migrated_template) as url:
        with psycopg.connect(url) as connection:
            connection.execute(
                "INSERT INTO movies (title) SELECT 'movie ' || n FROM generate_series(1, 50) AS n"
            )
            connection.execute("INSERT INTO genres (name) VALUES ('Drama')")
            connection.execute("INSERT INTO people (name) VALUES ('Agnès Varda')")
            connection.execute("INSERT INTO credits SELECT id, 'DIRECTOR', 0, 1 FROM movies")
            connection.execute(FILL.encode())
            connection.execute("INSERT INTO ratings SELECT users.id, movies.id, 7 FROM users, movies")
        dump(url, folder, folder, DumpParts(), quiet)
    return folder
