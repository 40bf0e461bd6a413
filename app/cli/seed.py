"""Load data sets: `marquee seed`."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from app import console
from app.cli.database import database, require_migrated
from app.cli.options import Columns, Dates, Json, Verbose, names_of, show
from app.cli.row_report import unused_rows, wrapped
from app.db import migrations
from app.settings import Settings
from recommender.progress import Progress
from seeds.bundled import load_bundled
from seeds.files.rating_cells import DayOrder
from seeds.files.rating_rows import RatingFormat
from seeds.files.report import Report, SourceError
from seeds.movielens import load_movielens
from seeds.movietweetings import load_movietweetings
from seeds.tmdb import load_tmdb

app = typer.Typer(help="Load movies, members and ratings.", no_args_is_help=True)
Strict = Annotated[bool, typer.Option("--strict", help="Stop at the first invalid row and store nothing.")]
Source = Annotated[Path, typer.Argument(help="The folder or zip with the files.", exists=True)]


@app.command("bundled")
def seed_bundled(json: Json = False) -> None:
    """Load the bundled catalog with its simulated members and their ratings."""
    seed("the bundled catalog", lambda _, url, progress: load_bundled(url, progress), json=json)


@app.command("movielens")
def seed_movielens(
    source: Annotated[str, typer.Argument(help="ml-latest-small, ml-25m, ml-32m, or a folder or zip.")],
    strict: Strict = False,
    columns: Columns = None,
    dates: Dates = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Load a MovieLens data set; one given by name is downloaded first. Its terms of use apply."""
    given = format_of(columns, dates)
    seed(
        f"MovieLens {source}",
        lambda settings, url, progress: load_movielens(
            url, source, strict=strict, progress=progress, data_dir=settings.data_dir, given=given
        ),
        json=json,
        verbose=verbose,
    )


@app.command("tmdb")
def seed_tmdb(
    source: Source,
    strict: Strict = False,
    adult: Annotated[bool, typer.Option("--adult", help="Load adult movies too.")] = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Add TMDB metadata in the layouts of the Kaggle data sets; all files are optional."""
    seed(
        "TMDB",
        lambda _, url, progress: load_tmdb(url, source, strict=strict, adult=adult, progress=progress),
        json=json,
        verbose=verbose,
    )


@app.command("movietweetings")
def seed_movietweetings(
    source: Source,
    strict: Strict = False,
    columns: Columns = None,
    dates: Dates = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Load MovieTweetings."""
    given = format_of(columns, dates)
    seed(
        "MovieTweetings",
        lambda _, url, progress: load_movietweetings(
            url, source, strict=strict, progress=progress, given=given
        ),
        json=json,
        verbose=verbose,
    )


def format_of(columns: str | None, dates: str | None) -> RatingFormat:
    """Parse `--columns` and `--dates`. Raises typer.BadParameter."""
    return RatingFormat(given=names_of(columns), day_order=DayOrder(dates) if dates else None)


def seed(
    title: str, load: Callable[[Settings, str, Progress], Report], *, json: bool, verbose: bool = False
) -> None:
    """Load a data set into the database, and print its report."""
    with database(migrated=False) as (settings, url), console.progress(f"Loading {title}") as progress:
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
        print_report(report, verbose=verbose)


def print_report(report: Report, *, verbose: bool) -> None:
    """Print what was stored, and which rows were not."""
    for kind, count in (("movies", report.movies), ("members", report.members), ("ratings", report.ratings)):
        typer.echo(f"{kind}: {count.added:,} added, {count.updated:,} updated, {count.unchanged:,} unchanged")
    for line in unused_rows(report, verbose=verbose):
        typer.echo(line)
    for note in report.notes:
        typer.echo(wrapped(note, shutil.get_terminal_size((0, 0)).columns))
