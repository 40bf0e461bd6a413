"""The `marquee` command.

Heavy imports stand in the commands that need them, so that `--help` and a start are quick.
"""

import asyncio
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import orjson
import psycopg
import typer
from pydantic import SecretStr, ValidationError

from app import console
from app.cli import offline_commands, schema_commands
from app.console import Progress
from app.db.embedded import EmbeddedPostgresError, embedded_postgres
from app.db.engine import psycopg_url
from app.settings import Settings
from seeds.files.report import Report, SourceError

app = typer.Typer(
    help="Marquee: movie recommendations as a GraphQL API over Postgres.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
seed_app = typer.Typer(help="Load movies, members and ratings.", no_args_is_help=True)
app.add_typer(seed_app, name="seed")
app.add_typer(schema_commands.schema_app)
app.add_typer(offline_commands.research)

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def main() -> None:
    """Run the command; a fault of the machine around it is one line, not a traceback."""
    try:
        app()
    except psycopg.errors.DiskFull:
        _end("The disk of the database is full: make room, then run the command again.")
    except psycopg.OperationalError as error:
        _end(f"The database cannot be reached: {error}")
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        _end(f"{name}{error.strerror or error}")


def _end(message: str) -> NoReturn:
    console.fail(message)
    sys.exit(1)


@contextmanager
def database(*, migrated: bool = True) -> Iterator[tuple[Settings, str]]:
    """The settings and the address of the database: `DATABASE_URL`, else the embedded server, running.

    Unless it is `migrated` only later, one that lacks tables ends the command.
    """
    try:
        settings = Settings()
    except ValidationError as error:
        for fault in error.errors():
            name = ".".join(str(part) for part in fault["loc"]).upper()
            console.console.print(
                f"{name}: {fault['msg']}" if name else fault["msg"], style="red", markup=False
            )
        raise typer.Exit(2) from None
    console.start_log(settings.log_level)
    if settings.database_url is not None:
        url = psycopg_url(settings.database_url)
        if migrated:
            require_migrated(url)
        yield settings, url
        return
    try:
        with embedded_postgres(settings.data_dir) as url:
            if migrated:
                require_migrated(url)
            yield settings.model_copy(update={"secret_key": local_secret(settings.data_dir)}), url
    except EmbeddedPostgresError as error:
        raise console.fail(str(error)) from None


def require_migrated(url: str) -> None:
    from app.db import migrations  # noqa: PLC0415 - brings Alembic

    try:
        behind = migrations.is_behind(url)
    except psycopg.OperationalError as error:
        raise console.fail(f"The database cannot be reached: {error}") from None
    if behind:
        raise console.fail(
            "The database lacks migrations: run `alembic upgrade head`, or `marquee serve --prepare`."
        )


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
            help="First migrate, load the bundled catalogue into an empty database, "
            "and train if there is no model."
        ),
    ] = False,
) -> None:
    """Serve the GraphQL API and GraphiQL."""
    with database(migrated=not prepare) as (settings, url):
        if prepare:
            from app.cli.prepare import prepare as prepare_database  # noqa: PLC0415 - only with the option

            prepare_database(settings, url)
        if settings.database_url is None and not settings.has_demo_account:
            from app.cli.prepare import close_demo_account  # noqa: PLC0415 - brings the trainer

            close_demo_account(url)
        from app.main import run  # noqa: PLC0415 - brings GraphQL and the recommender

        run(settings, url)


Strict = Annotated[
    bool, typer.Option("--strict", help="Stop at the first row that cannot be used; store nothing.")
]
Source = Annotated[Path, typer.Argument(help="The folder or zip with the files.", exists=True)]


@seed_app.command("bundled")
def seed_bundled(json: Json = False) -> None:
    """Load the bundled catalogue with its simulated members and their ratings."""
    from seeds.bundled import load_bundled  # noqa: PLC0415 - brings the simulator

    seed("the bundled catalogue", lambda _, url, progress: load_bundled(url, progress), json=json)


@seed_app.command("movielens")
def seed_movielens(
    source: Annotated[str, typer.Argument(help="ml-latest-small, ml-25m, ml-32m, or a folder or zip.")],
    strict: Strict = False,
    json: Json = False,
) -> None:
    """Load a MovieLens data set; by name it is downloaded first. Mind its terms of use."""
    from seeds.movielens import load_movielens  # noqa: PLC0415 - brings pyarrow

    seed(
        f"MovieLens {source}",
        lambda settings, url, progress: load_movielens(
            url, source, strict=strict, progress=progress, data_dir=settings.data_dir
        ),
        json=json,
    )


@seed_app.command("tmdb")
def seed_tmdb(
    source: Source,
    strict: Strict = False,
    adult: Annotated[
        bool, typer.Option("--adult", help="Adult movies too; without it they stay out.")
    ] = False,
    json: Json = False,
) -> None:
    """Add TMDB metadata, in the layouts of the Kaggle data sets; any of the files may be missing."""
    from seeds.tmdb import load_tmdb  # noqa: PLC0415 - brings pyarrow

    seed(
        "TMDB",
        lambda _, url, progress: load_tmdb(url, source, strict=strict, adult=adult, progress=progress),
        json=json,
    )


@seed_app.command("movietweetings")
def seed_movietweetings(source: Source, strict: Strict = False, json: Json = False) -> None:
    """Load MovieTweetings."""
    from seeds.movietweetings import load_movietweetings  # noqa: PLC0415 - brings pyarrow

    seed(
        "MovieTweetings",
        lambda _, url, progress: load_movietweetings(url, source, strict=strict, progress=progress),
        json=json,
    )


def seed(what: str, load: Callable[[Settings, str, Progress], Report], *, json: bool) -> None:
    from app.db import migrations  # noqa: PLC0415 - brings Alembic

    with database(migrated=False) as (settings, url), console.progress(f"Loading {what}") as progress:
        if settings.database_url is None:
            migrations.upgrade(url)
        else:
            require_migrated(url)
        try:
            report = load(settings, url, progress)
        except SourceError as error:
            raise console.fail(str(error)) from None
    if json:
        show(report.as_dict(), json=True)
    else:
        print_report(report)


def print_report(report: Report) -> None:
    for what, count in (("films", report.movies), ("members", report.members), ("ratings", report.ratings)):
        typer.echo(f"{what}: {count.added} added, {count.updated} updated, {count.unchanged} unchanged")
    for verdict, reasons in (("not usable", report.skipped), ("set aside", report.set_aside)):
        for reason, rows in reasons.items():
            typer.echo(f"{rows.count} rows {verdict}: {reason}")
            for sample in rows.samples:
                typer.echo(f"  {sample.file}, line {sample.line}: {sample.text}")
    for note in report.notes:
        typer.echo(note)


@app.command()
def train(
    data: offline_commands.Data = None,
    out: offline_commands.ModelOut = None,
    content: offline_commands.Content = None,
    settings_file: offline_commands.SettingsFile = None,
    sentences: offline_commands.Sentences = None,
    columns: offline_commands.Columns = None,
    dates: offline_commands.Dates = None,
    json: Json = False,
) -> None:
    """Train on all ratings and make the new model the active one; running services pick it up.

    With --data and --out, train on files and write the model to a folder, without a database.
    """
    if data is not None:
        reading = offline_commands.reading_of(columns, dates)
        result = offline_commands.train_on_files(data, out, content or [], settings_file, sentences, reading)
        show(result if json else f"The model is in {out}.", json=json)
        return
    if out is not None or content or columns or dates:
        raise typer.BadParameter("--out, --content, --columns and --dates go with --data")
    from app.training import train as training  # noqa: PLC0415 - brings the recommender
    from recommender.model.sentence_embeddings import SentenceModelError  # noqa: PLC0415 - likewise
    from recommender.training.config import InvalidSettings  # noqa: PLC0415 - likewise

    with database() as (settings, url), console.progress("Training") as progress:
        try:
            version = training.train(
                url, settings.models, progress,
                kept_models=settings.kept_models, settings=settings_file, sentences=sentences,
            )  # fmt: skip
        except (training.NothingToTrainOn, InvalidSettings, SentenceModelError) as error:
            raise console.fail(str(error)) from None
    show({"version": version} if json else f"Model {version} is active.", json=json)


@app.command(cls=offline_commands.JsonTo)
def evaluate(
    protocol: offline_commands.ProtocolName = "temporal",
    data: offline_commands.Data = None,
    content: offline_commands.Content = None,
    settings_file: offline_commands.SettingsFile = None,
    columns: offline_commands.Columns = None,
    dates: offline_commands.Dates = None,
    json: offline_commands.JsonFile = None,
    plot: offline_commands.PlotFile = None,
    peers: Annotated[bool, typer.Option(help="Other libraries beside ours, where installed.")] = True,
    diversity: offline_commands.Diversities = None,
    max_users: Annotated[int, typer.Option(min=1, help="Tested at most, a random sample.")] = 5_000,
    votes: Annotated[
        bool, typer.Option(help="Let votes of today be known of movies, which tell of what is held out.")
    ] = False,
) -> None:
    """Measure the recommender beside others on the same splits of the ratings here, or of files by --data."""
    from app.offline import evaluate as evaluation  # noqa: PLC0415 - brings the recommender

    with offline_commands.refusals(), console.progress("Evaluating") as progress:
        if data is None:
            with database() as (_, url):
                ratings, name = evaluation.read_database(url, progress), "database"
        else:
            reading = offline_commands.reading_of(columns, dates)
            ratings, name = offline_commands.read_data(data, content or [], progress, reading), data.name
        if not votes:
            ratings = offline_commands.in_time(ratings)
        offline_commands.evaluate(
            protocol, ratings, name, settings_file, peers=peers, diversities=diversity or [],
            max_users=max_users, json=json, plot=plot, progress=progress,
        )  # fmt: skip


@app.command()
def create_admin(
    username: str,
    password: Annotated[
        str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True, envvar="ADMIN_PASSWORD")
    ],
) -> None:
    """Make an account with the role ADMIN, or give the role to an account that is there."""
    from app.accounts import admin, authentication  # noqa: PLC0415 - brings SQLAlchemy's asyncio
    from app.db.engine import create_engine, sessionmaker  # noqa: PLC0415

    async def create(settings: Settings, url: str) -> None:
        engine = create_engine(url, settings)
        try:
            await admin.create_admin(sessionmaker(engine), username, password)
        finally:
            await engine.dispose()

    with database() as (settings, url):
        try:
            asyncio.run(create(settings, url))
        except authentication.AccountError as error:
            raise console.fail(str(error)) from None
    show(f"{username} is an administrator.", json=False)


def show(result: object, *, json: bool) -> None:
    typer.echo(
        orjson.dumps(result, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY).decode()
        if json
        else result
    )
