"""The settings and the database of a command."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import typer
from pydantic import SecretStr, ValidationError

from app import console
from app.db import migrations
from app.db.embedded import EmbeddedPostgresError, embedded_postgres
from app.db.engine import psycopg_url
from app.settings import Settings


@contextmanager
def database(*, migrated: bool = True) -> Iterator[tuple[Settings, str]]:
    """Yield the settings and the database URL: `DATABASE_URL`, or that of the embedded server, which it runs.

    Ends the command with one line if settings are invalid, if the database is unreachable or its disk is
    full, and, if `migrated`, if migrations are missing.
    """
    settings = read_settings()
    console.start_log(settings.log_level, settings.log_format)
    try:
        if settings.database_url is not None:
            url = psycopg_url(settings.database_url)
            if migrated:
                require_migrated(url)
            yield settings, url
            return
        with embedded_postgres(settings.data_dir) as url:
            if migrated:
                require_migrated(url)
            yield settings.model_copy(update={"secret_key": local_secret(settings.data_dir)}), url
    except EmbeddedPostgresError as error:
        raise console.fail(str(error)) from None
    except psycopg.errors.DiskFull:
        raise console.fail("The disk of the database is full: make room and run the command again.") from None
    except psycopg.OperationalError as error:
        raise console.fail(f"The database cannot be reached: {error}") from None


def read_settings() -> Settings:
    """Read the settings; print invalid ones and exit with status 2."""
    try:
        return Settings()
    except ValidationError as error:
        for fault in error.errors():
            name = ".".join(str(part) for part in fault["loc"]).upper()
            console.console.print(
                f"{name}: {fault['msg']}" if name else fault["msg"], style="red", markup=False
            )
        raise typer.Exit(2) from None


def require_migrated(url: str) -> None:
    """End the command if the database lacks migrations."""
    if migrations.is_behind(url):
        raise console.fail(
            "The database lacks migrations: run `alembic upgrade head`, or `marquee serve --prepare`."
        )


def local_secret(data_dir: Path) -> SecretStr:
    """The secret key of a service on the embedded database.

    It is created once, in a file that only its owner can read.
    """
    path = data_dir / "secret_key"
    if not path.exists():
        fresh = path.with_suffix(f".{secrets.token_hex(4)}")
        fresh.touch(0o600)
        fresh.write_text(secrets.token_urlsafe(48))
        fresh.rename(path)
    return SecretStr(path.read_text())
