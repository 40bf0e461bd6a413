"""Alembic's upgrade from inside the process; `alembic` itself works from the repository's root."""

from importlib.resources import files

from alembic import command
from alembic.config import Config

from app.db import psycopg_url


def upgrade(database_url: str) -> None:
    """Bring the database to the newest revision; waits for another migrator to end."""
    config = Config()
    config.set_main_option("script_location", str(files("migrations")))
    config.attributes["database_url"] = psycopg_url(database_url)
    command.upgrade(config, "head")
