"""Run Alembic migrations in the process, for `marquee migrate`; `alembic` itself needs the checkout."""

from importlib.resources import files

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from app.db.engine import psycopg_url


def upgrade(database_url: str, revision: str = "head") -> None:
    """Migrate the database to a revision, the newest, after any concurrent migration has ended.

    A database of a later release stays as it is: this one can serve it.
    """
    found = revision_of(database_url)
    if found is not None and not is_known(found):
        return
    config = scripts()
    config.attributes["database_url"] = psycopg_url(database_url)
    command.upgrade(config, revision)


def downgrade(database_url: str, revision: str) -> None:
    """Return to an earlier revision. Columns and tables of later ones are dropped with their data."""
    config = scripts()
    config.attributes["database_url"] = psycopg_url(database_url)
    command.downgrade(config, revision)


def is_behind(database_url: str) -> bool:
    """Whether the database lacks a revision. A database of a newer release is not behind."""
    found = revision_of(database_url)
    return found is None or found in revisions()[1:]


def is_known(revision: str) -> bool:
    """Whether this release has the revision."""
    return revision in revisions()


def revisions() -> list[str]:
    """All revisions of this release, the newest first."""
    return [script.revision for script in ScriptDirectory.from_config(scripts()).walk_revisions()]


def revision_of(database_url: str) -> str | None:
    """The revision of the database; None if it has no tables of ours."""
    with psycopg.connect(psycopg_url(database_url)) as connection:
        if connection.execute("SELECT to_regclass('alembic_version')").fetchone() == (None,):
            return None
        found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if found is None else str(found[0])


def scripts() -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("migrations")))
    return config
