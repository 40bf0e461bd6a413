"""Load movies, ratings and events of other systems from files: `marquee load`."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from app import console
from app.accounts.external_members import is_source
from app.catalog.batches import files as movie_files
from app.catalog.batches.fields import COLUMNS
from app.cli.database import database
from app.cli.ingest import store
from app.cli.options import FILE, Dates, Json, names_of, show
from app.ingest.loads import events, ratings
from app.ingest.loads.ratings import MovieIds, RatingOptions
from app.ingest.loads.scale import Scale
from app.ingest.store_events import REPEATED, STORED
from recommender.progress import Progress
from seeds.files.rating_cells import DayOrder
from seeds.files.report import Count, Report, SourceError

EXAMPLES = 3  # rows shown for each reason
OWN = "own"

app = typer.Typer(
    help="Load movies, ratings and events of other systems from csv, JSON lines and Parquet.",
    no_args_is_help=True,
)


def source_of(text: str) -> str:
    if not is_source(text):
        raise typer.BadParameter("use 1 to 64 lower-case letters, digits and `.`, `_` or `-`")
    return text


File = Annotated[
    Path,
    typer.Argument(
        metavar="PATH",
        help="The file: csv, JSON lines or Parquet; csv and JSON lines also gz, bz2, xz, zst.",
        **FILE,
    ),
]
Source = Annotated[
    str,
    typer.Option(
        "--source", help="The system whose ids the file has. Its users are members of their own.",
        callback=source_of,
    ),
]  # fmt: skip
MovieColumns = Annotated[
    str | None,
    typer.Option(
        "--columns",
        help="The columns, if their names are not recognized: id=..,title=..,year=..; the fields are those "
        "of the API.",
    ),
]
Attributes = Annotated[
    str | None,
    typer.Option("--attributes", help="Further columns that become attributes, comma-separated."),
]
RatingColumns = Annotated[
    str | None,
    typer.Option(
        "--columns",
        help="The columns, if their names are not recognized: user=..,movie=..,rating=..,time=..; names or "
        "positions from 1.",
    ),
]


EventColumns = Annotated[
    str | None,
    typer.Option(
        "--columns",
        help="The columns, if their names are not recognized: user=..,movie=..,kind=..,time=..,value=..; the "
        "fields are those of JSON events.",
    ),
]
OfMovies = Annotated[MovieIds, typer.Option("--movie-ids", help="Whose ids the column of movies has.")]


@app.command("movies")
def load_movies(
    path: File,
    source: Source = OWN,
    columns: MovieColumns = None,
    attributes: Attributes = None,
    json: Json = False,
) -> None:
    """Add movies and change those that differ, by their ids in the source."""
    try:
        layout = COLUMNS.name(columns or "", attributes or "")
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--columns") from None
    run(
        f"Loading {path.name}",
        lambda url, progress: movie_files.load(url, path, source, layout, progress),
        ("movies",),
        json=json,
    )


@app.command("ratings")
def load_ratings(
    path: File,
    source: Source = OWN,
    columns: RatingColumns = None,
    dates: Dates = None,
    scale: Annotated[
        Scale | None,
        typer.Option(
            "--scale",
            help="The scale of the ratings: 0.5 to 5 stars, 0 to 10, or likes (yes and no, 1 and 0, or no "
            "column of ratings); default: stars, or likes if the column has yes and no.",
        ),
    ] = None,
    movie_ids: OfMovies = MovieIds.EXTERNAL,
    json: Json = False,
) -> None:
    """Load ratings of the source's users; of two ratings the later counts."""
    options = RatingOptions(
        source=source,
        columns=names_of(columns),
        day_order=DayOrder(dates) if dates else None,
        scale=scale,
        movie_ids=movie_ids,
    )
    run(
        f"Loading {path.name}",
        lambda url, progress: ratings.load(url, path, options, progress),
        ("members", "ratings"),
        json=json,
    )


def run(title: str, load: Callable[[str, Progress], Report], kinds: tuple[str, ...], *, json: bool) -> None:
    """Load a file into the database, and print what was stored and which rows were not."""
    with database() as (_, url), console.progress(title) as progress:
        try:
            report = load(url, progress)
        except SourceError as error:
            raise console.fail(str(error)) from None
    if json:
        show(report.as_dict(), json=True)
        return
    for kind in kinds:
        count: Count = getattr(report, kind)
        typer.echo(f"{kind}: {count.added:,} added, {count.updated:,} updated, {count.unchanged:,} unchanged")
    print_rows(report)


def print_rows(report: Report) -> None:
    """Print the number of rows that are not stored by reason, each with examples."""
    for verdict, reasons in (("not stored", report.skipped), ("left out", report.set_aside)):
        for reason, rows in reasons.items():
            typer.echo(f"{rows.count:,} rows {verdict}: {reason}")
            for sample in rows.samples[:EXAMPLES]:
                typer.echo(f"  {sample.file}, line {sample.line}: {sample.text}")
    for note in report.notes:
        typer.echo(note)


@app.command("events")
def load_events(
    path: File,
    source: Source = OWN,
    columns: EventColumns = None,
    kind: Annotated[
        str | None, typer.Option("--kind", help="The kind of rows without one, such as watch or click.")
    ] = None,
    dates: Dates = None,
    movie_ids: OfMovies = MovieIds.EXTERNAL,
    json: Json = False,
) -> None:
    """Load events of the source's users, as `marquee ingest file`; refused ones can be replayed."""
    try:
        names = events.COLUMNS.name(columns or "")
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--columns") from None
    order = DayOrder(dates) if dates else None
    options = events.EventOptions(source, names, kind, order, movie_ids)
    with store() as (opened, _, _), console.progress(f"Loading {path.name}") as progress:
        try:
            counts, report = events.load(opened, path, options, progress)
        except SourceError as error:
            raise console.fail(str(error)) from None
    if json:
        show({"counts": dict(counts), **report.as_dict()}, json=True)
        return
    typer.echo(f"events: {counts[STORED]:,} stored, {counts[REPEATED]:,} repeated")
    print_rows(report)
