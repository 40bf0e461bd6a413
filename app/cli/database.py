"""The settings and the database of a command."""

import asyncio
import getpass
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import typer
from pydantic import SecretStr, ValidationError

from app import console
from app.accounts import audit_log
from app.db import migrations
from app.db.embedded import EmbeddedPostgresError, embedded_postgres
from app.db.engine import Sessions, create_engine, psycopg_url, sessionmaker
from app.settings import Settings

STARTING_SECONDS = 300  # a Postgres after a crash first replays its log
STARTING_POLL_SECONDS = 0.5
# The beginning of all messages of SQLSTATE 57P03, and libpq's messages when no host writes yet, as in a
# failover. psycopg has no code of a connection that was refused.
STARTING = ("the database system is ", "server is in hot standby mode", "session is read-only")

Found = TypeVar("Found")


@contextmanager
def database(*, migrated: bool = True, settings: Settings | None = None) -> Iterator[tuple[Settings, str]]:
    """Yield the settings and the database URL, of the settings or of the embedded server, which it runs.

    With a transaction pooler it is `DIRECT_DATABASE_URL`: commands lock, listen and prepare statements.

    Waits for a Postgres that is starting. Ends the command with one line if settings are invalid, if the
    database is unreachable or its disk is full, and, if `migrated`, if migrations are missing. `settings`:
    those of `read_settings`, if the command has read them.
    """
    settings = settings or read_settings()
    try:
        if settings.database_url is not None:
            url = psycopg_url(settings.direct_database_url or settings.database_url)
            wait_while_starting(url)
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


def with_sessions(use: Callable[[Sessions, Settings], Awaitable[Found]], *refused: type[Exception]) -> Found:
    """Return the result of `use`; an exception of a type in `refused` ends the command with its message."""

    async def run(settings: Settings, url: str) -> Found:
        engine = create_engine(url, settings)
        try:
            return await use(sessionmaker(engine), settings)
        finally:
            await engine.dispose()

    with database() as (settings, url):
        try:
            return asyncio.run(run(settings, url))
        except refused as error:
            raise console.fail(str(error)) from None


def audited(
    act: str,
    arguments: dict[str, Any],
    use: Callable[[Sessions, Settings], Awaitable[Found]],
    *refused: type[Exception],
) -> Found:
    """Do as `with_sessions`, and note the act in the audit log as the mutation of this name does.

    In place of a client's address the entry has the account of the operating system.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    noted = audit_log.Act(act, {"input": given}, f"command line, {_account()}")

    async def noting(sessions: Sessions, settings: Settings) -> Found:
        async with audit_log.of_command(sessions, noted):
            return await use(sessions, settings)

    return with_sessions(noting, *refused)


def _account() -> str:
    """The account of the operating system, by its name if it has one, as not in every container."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"


def read_settings(**options: object) -> Settings:
    """Read the settings and start the log; print invalid ones and exit with status 2.

    `options`: settings of the command line; None is left out.
    """
    try:
        settings = Settings(**{name: value for name, value in options.items() if value is not None})  # type: ignore[arg-type]  # they are validated
    except ValidationError as error:
        for fault in error.errors():
            name = ".".join(str(part) for part in fault["loc"]).upper()
            console.console.print(
                f"{name}: {fault['msg']}" if name else fault["msg"], style="red", markup=False
            )
        raise typer.Exit(2) from None
    console.start_log(settings.log_level, settings.log_format)
    return settings


def wait_while_starting(url: str) -> None:
    """Wait for a Postgres that starts, recovers or shuts down, or for one of several hosts to write.

    Raises psycopg.OperationalError in the end.
    """
    deadline = time.monotonic() + STARTING_SECONDS
    waiting = False
    while True:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError as error:
            if not any(map(str(error).__contains__, STARTING)) or time.monotonic() > deadline:
                raise
            if not waiting:
                console.log.warning("the database is starting; waiting up to %d s for it", STARTING_SECONDS)
                waiting = True
        else:
            return
        time.sleep(STARTING_POLL_SECONDS)


def require_migrated(url: str) -> None:
    """End the command if the database lacks migrations."""
    if migrations.is_behind(url):
        raise console.fail("The database lacks migrations: run `marquee migrate`.")


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
