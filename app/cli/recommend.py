"""Batch inference with a model on disk: `marquee recommend` and `marquee predict`."""

from pathlib import Path
from typing import Annotated

import typer

from app import console
from app.cli.options import FILE, Columns, Dates, Model, Out
from app.cli.reading import note, print_notes, reading_of, refusals
from app.cluster.command import WORKER_MEGABYTES, Address, Shared, WorkerMemory, workers_of
from app.offline import batch, lists, rating_files

app = typer.Typer()


@app.command()
def recommend(
    model: Model,
    out: Out,
    histories: Annotated[
        Path | None,
        typer.Option(help="Ratings of the users: user_id, movie_id, rating[, timestamp].", exists=True),
    ] = None,
    users: Annotated[Path | None, typer.Option(help="Further users, without a history.", **FILE)] = None,
    k: Annotated[int, typer.Option(min=1, help="Movies in a list.")] = 100,
    diversity: Annotated[float, typer.Option(min=0, max=1, help="0 ranks by score alone.")] = 0.0,
    candidates: Annotated[Path | None, typer.Option(help="Only these movies: movie_id.", **FILE)] = None,
    columns: Columns = None,
    dates: Dates = None,
    jobs: Annotated[int, typer.Option(min=1, max=256, help="Processes; each loads the model.")] = 1,
    cluster: Address = None,
    cluster_folder: Shared = None,
    worker_memory: WorkerMemory = WORKER_MEGABYTES,
) -> None:
    """Write recommendation lists for users with a model on disk.

    Columns: user_id, movie_id, rank, score, match_percent, predicted_stars.
    """
    if histories is None and users is None:
        raise typer.BadParameter("give --histories, --users or both")
    with (
        refusals(),
        workers_of(cluster, cluster_folder or out.parent, worker_memory) as workers,
        console.progress("Recommending") as progress,
    ):
        rating_files.check_output(out)
        reading = reading_of(columns, dates)
        loaded = batch.load(model)
        read = batch.read_histories(loaded, histories, users, progress, reading)
        note(read.n_unknown, "ratings in the histories are of movies that are not in the model")
        allowed = None
        if candidates is not None:
            allowed, n_unknown = batch.allowed_movies(loaded, candidates, progress, reading)
            note(n_unknown, "candidates are not in the model")
        print_notes(reading.notes)
        options = lists.ListOptions(k, diversity, allowed)
        n_rows = lists.recommend(loaded, model, read, out, options, progress, jobs=jobs, workers=workers)
    typer.echo(f"{out}: {n_rows} rows for {len(read.user_ids)} users")


@app.command()
def predict(
    model: Model,
    pairs: Annotated[Path, typer.Option(help="The pairs to predict: user_id, movie_id.", **FILE)],
    out: Out,
    histories: Annotated[
        Path | None,
        typer.Option(help="Ratings of the users: user_id, movie_id, rating[, timestamp].", exists=True),
    ] = None,
    columns: Columns = None,
    dates: Dates = None,
) -> None:
    """Write rating predictions for pairs: user_id, movie_id, stars, low, high, match_percent."""
    with refusals(), console.progress("Predicting") as progress:
        rating_files.check_output(out)
        reading = reading_of(columns, dates)
        loaded = batch.load(model)
        read = batch.read_histories(loaded, histories, None, progress, reading)
        note(read.n_unknown, "ratings in the histories are of movies that are not in the model")
        rows = rating_files.read_pairs(pairs, progress, reading=reading)
        print_notes(reading.notes)
        n_rows = batch.predict(loaded, rows, read, out, progress)
    typer.echo(f"{out}: {n_rows} rows")
