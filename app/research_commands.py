"""Commands on files, without a database: lists and predictions in batches."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from app import terminal
from seeds.report import Report, SourceError

research = typer.Typer()

Data = Annotated[
    Path | None,
    typer.Option(
        help="A file of ratings (user_id, movie_id, rating[, timestamp]; csv, Parquet, ratings.dat, u.data), "
        "or the folder or zip it is in.",
        exists=True,
    ),
]
ModelOut = Annotated[Path | None, typer.Option("--out", help="With --data: the folder for the model.")]
Content = Annotated[
    list[Path] | None,
    typer.Option(
        help="With --data: folders with movies.csv, movies.dat or u.item, links.csv, tags.csv, TMDB's files; "
        "those beside the ratings are read anyway.",
        exists=True,
    ),
]
SettingsFile = Annotated[
    Path | None, typer.Option("--settings", help="Settings of `marquee tune`: TOML or JSON.", exists=True)
]
Model = Annotated[Path, typer.Option(help="Folder of a model made by `marquee train --data`.")]
Out = Annotated[Path, typer.Option(help="What to write: .csv or .parquet.", dir_okay=False)]
FILE = {"exists": True, "dir_okay": False}


@research.command()
def recommend(
    model: Model,
    out: Out,
    histories: Annotated[
        Path | None,
        typer.Option(help="Ratings of the users: user_id, movie_id, rating[, timestamp].", exists=True),
    ] = None,
    users: Annotated[Path | None, typer.Option(help="More users, without a history.", **FILE)] = None,
    k: Annotated[int, typer.Option(min=1, help="Films in a list.")] = 100,
    diversity: Annotated[float, typer.Option(min=0, max=1, help="0 orders by score alone.")] = 0.0,
    candidates: Annotated[Path | None, typer.Option(help="Only these films: movie_id.", **FILE)] = None,
) -> None:
    """Write lists for users, by a model on disk.

    Columns: user_id, movie_id, rank, score, match_percent, predicted_stars.
    """
    from app import offline, rating_tables  # noqa: PLC0415 - bring the recommender

    if histories is None and users is None:
        raise typer.BadParameter("give --histories, --users or both")
    with refusals(), terminal.progress("Recommending") as progress:
        rating_tables.check_output(out)
        loaded = offline.load(model)
        known = offline.read_histories(loaded, histories, users, progress)
        note(known.n_unknown, "ratings in the histories are of films that the model does not know")
        allowed = None
        if candidates is not None:
            allowed, n_unknown = offline.allowed_films(loaded, candidates, progress)
            note(n_unknown, "candidates are films that the model does not know")
        n_rows = offline.recommend(
            loaded, known, out, k=k, diversity=diversity, allowed=allowed, progress=progress
        )
    typer.echo(f"{out}: {n_rows} rows for {len(known.user_ids)} users")


@research.command()
def predict(
    model: Model,
    pairs: Annotated[Path, typer.Option(help="What to judge: user_id, movie_id.", **FILE)],
    out: Out,
    histories: Annotated[
        Path | None,
        typer.Option(help="Ratings of the users: user_id, movie_id, rating[, timestamp].", exists=True),
    ] = None,
) -> None:
    """Write predictions for pairs: user_id, movie_id, stars, low, high, match_percent."""
    from app import offline, rating_tables  # noqa: PLC0415 - bring the recommender

    with refusals(), terminal.progress("Predicting") as progress:
        rating_tables.check_output(out)
        loaded = offline.load(model)
        known = offline.read_histories(loaded, histories, None, progress)
        note(known.n_unknown, "ratings in the histories are of films that the model does not know")
        wanted = rating_tables.read_pairs(pairs, progress)
        n_rows = offline.predict(loaded, wanted, known, out, progress)
    typer.echo(f"{out}: {n_rows} rows")


def train_on_files(
    data: Path, out: Path | None, content: list[Path], settings: Path | None
) -> dict[str, object]:
    """`marquee train --data`: the model's folder and what it was made of."""
    from app import offline  # noqa: PLC0415 - brings the recommender
    from recommender.config import Config  # noqa: PLC0415

    if out is None:
        raise typer.BadParameter("--data needs --out, the folder for the model")

    with refusals(), terminal.progress("Training") as progress:
        offline.check_model_folder(out)
        config = offline.read_settings(settings) if settings else Config()
        data_set = offline.read_data(data, content, progress)
        tell(data_set.report)
        model = offline.train(data_set, out, config, progress)
    ratings = data_set.interactions
    return {
        "model": str(out),
        "users": ratings.n_users,
        "films": ratings.n_items,
        "ratings": ratings.nnz,
        "scale": data_set.scale,
        "metrics": model.manifest["metrics"],
    }


@contextmanager
def refusals() -> Iterator[None]:
    """Files that cannot be used end the command with one clear line."""
    try:
        yield
    except SourceError as error:
        raise terminal.fail(str(error)) from None


def note(count: int, what: str) -> None:
    if count:
        terminal.console.print(f"{count} {what}", markup=False, soft_wrap=True)


def tell(report: Report) -> None:
    """What the content files could not say, on standard error."""
    for reason, rows in report.skipped.items():
        where = f"{rows.samples[0].file}, line {rows.samples[0].line}"
        terminal.console.print(
            f"{rows.count} rows not used: {reason} ({where})", markup=False, soft_wrap=True
        )
