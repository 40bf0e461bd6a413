"""The `marquee` command. Heavy imports stand in the commands that need them: `--help` and a start are quick."""

import asyncio
import dataclasses
import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import orjson
import typer
from pydantic import SecretStr, ValidationError

from app import terminal
from app.db import psycopg_url
from app.embedded import EmbeddedPostgresError, embedded_postgres
from app.settings import Settings

app = typer.Typer(
    help="Marquee: movie recommendations as a GraphQL API over Postgres.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
seed_app = typer.Typer(help="Load films, members and ratings.", no_args_is_help=True)
app.add_typer(seed_app, name="seed")

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def main() -> None:
    app()


@contextmanager
def database() -> Iterator[tuple[Settings, str]]:
    """The settings and the address of the database: `DATABASE_URL`, else the embedded server, running."""
    try:
        settings = Settings()
    except ValidationError as error:
        for fault in error.errors():
            name = ".".join(str(part) for part in fault["loc"]).upper()
            terminal.console.print(f"{name}: {fault['msg']}" if name else fault["msg"], style="red", markup=False)
        raise typer.Exit(2) from None
    logging.basicConfig(level=settings.log_level.upper(), format="%(levelname)s %(name)s: %(message)s")
    if settings.database_url is not None:
        yield settings, psycopg_url(settings.database_url)
        return
    try:
        with embedded_postgres(settings.data_dir) as url:
            yield settings.model_copy(update={"secret_key": local_secret(settings.data_dir)}), url
    except EmbeddedPostgresError as error:
        raise terminal.fail(str(error)) from None


def local_secret(data_dir: Path) -> SecretStr:
    """The key of a service on the embedded database, made once, readable by its owner alone."""
    path = data_dir / "secret_key"
    if not path.exists():
        fresh = path.with_suffix(f".{secrets.token_hex(4)}")
        fresh.touch(0o600)
        fresh.write_text(secrets.token_urlsafe(48))
        fresh.rename(path)
    return SecretStr(path.read_text())


@app.command()
def serve(
    prepare: Annotated[
        bool,
        typer.Option(
            help="First migrate, load the bundled catalogue into an empty database, and train if there is no model."
        ),
    ] = False,
) -> None:
    """Serve the GraphQL API and GraphiQL."""
    with database() as (settings, url):
        if prepare:
            from app.preparation import prepare as prepare_database  # noqa: PLC0415 - only with the option

            prepare_database(settings, url)
        from app.main import run  # noqa: PLC0415 - brings GraphQL and the recommender

        run(settings, url)


@app.command()
def train(json: Json = False) -> None:
    """Train on all ratings and make the new model the active one; running services pick it up."""
    from app import training  # noqa: PLC0415 - brings the recommender

    with database() as (settings, url), terminal.progress("Training") as progress:
        try:
            version = training.train(url, settings.models, progress)
        except training.NothingToTrainOn as error:
            raise terminal.fail(str(error)) from None
    show({"version": version} if json else f"Model {version} is active.", json=json)


@app.command()
def evaluate(json: Json = False, max_users: Annotated[int, typer.Option(min=1)] = 5_000) -> None:
    """Measure the recommender on the ratings here: the newest 20 % of each user's are foretold from the rest."""
    from app import evaluation  # noqa: PLC0415 - brings the recommender

    with database() as (_, url), terminal.progress("Evaluating") as progress:
        result = evaluation.evaluate_database(url, max_users=max_users, progress=progress)
    if json:
        show(dataclasses.asdict(result), json=True)
    else:
        evaluation.print_tables(result)


@app.command()
def export_schema(
    check: Annotated[bool, typer.Option(help="Only tell whether the file is as the code says.")] = False,
    path: Annotated[Path, typer.Option(help="The file.")] = Path("schema/schema.graphql"),
) -> None:
    """Write the schema as SDL."""
    from schema import schema  # noqa: PLC0415 - brings GraphQL

    sdl = schema.as_str() + "\n"
    if not check:
        path.write_text(sdl)
    elif not path.exists() or path.read_text() != sdl:
        raise terminal.fail(f"{path} is not what the code says: run `marquee export-schema`.")


@app.command()
def create_admin(
    username: str,
    password: Annotated[str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True, envvar="ADMIN_PASSWORD")],
) -> None:
    """Make an account with the role ADMIN, or give the role to an account that is there."""
    from app import accounts  # noqa: PLC0415 - brings SQLAlchemy's asyncio
    from app.db import create_engine, sessionmaker  # noqa: PLC0415

    async def create(settings: Settings, url: str) -> None:
        engine = create_engine(url, settings)
        try:
            await accounts.create_admin(sessionmaker(engine), username, password)
        finally:
            await engine.dispose()

    with database() as (settings, url):
        try:
            asyncio.run(create(settings, url))
        except accounts.AccountError as error:
            raise terminal.fail(str(error)) from None
    show(f"{username} is an administrator.", json=False)


def show(result: object, *, json: bool) -> None:
    typer.echo(orjson.dumps(result, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY).decode() if json else result)
