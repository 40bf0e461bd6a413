"""What is in a database, and where the real data is."""

from pathlib import Path
from typing import Any

import psycopg
import pytest

TABLES = (
    "users", "movies", "genres", "movie_genres", "people", "credits", "ratings", "movie_stats",
    "dataset_versions", "catalog_revision", "movie_titles",
)  # fmt: skip


def content(database_url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table that loaders write to."""
    with psycopg.connect(database_url) as connection:
        return {
            table: sorted(connection.execute(f"SELECT * FROM {table}").fetchall(), key=repr)  # noqa: S608
            for table in TABLES
        }


def query(database_url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database_url) as connection:
        return connection.execute(statement.encode()).fetchall()


@pytest.fixture
def shared_data() -> Path:
    folder = Path(__file__).parents[3] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real data is not there: {folder}")
    return folder
