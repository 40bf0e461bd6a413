"""Run Alembic migrations in the process. The command `alembic` also works, in the repository's root."""

from importlib.resources import files

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from app.db.engine import psycopg_url


def upgrade(database_url: str) -> None:
    """Migrate the database to the newest revision, after any concurrent migration has ended."""
    config = scripts()
    config.attributes["database_url"] = psycopg_url(database_url)
    command.upgrade(config, "head")


def is_behind(database_url: str) -> bool:
    """Whether the database lacks a revision. A database of a newer release is not behind."""
    revisions = [script.revision for script in ScriptDirectory.from_config(scripts()).walk_revisions()]
    with psycopg.connect(psycopg_url(database_url)) as connection:
        if connection.execute("SELECT to_regclass('alembic_version')").fetchone() == (None,):
            return True
        found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return found is None or found[0] in revisions[1:]


def scripts() -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("migrations")))
    return config
