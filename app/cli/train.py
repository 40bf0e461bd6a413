"""Train a model: `marquee train`, on the database or on files."""

from pathlib import Path
from typing import Any

import typer

from app import console
from app.cli.database import database
from app.cli.options import (
    Columns,
    Content,
    Data,
    Dates,
    IfBetter,
    Json,
    ModelKind,
    ModelOut,
    Sentences,
    SettingsFile,
    show,
)
from app.cli.reading import print_report, reading_of, refusals
from app.cluster.command import WORKER_MEGABYTES, Address, Shared, WorkerMemory, workers_of
from app.offline import training
from app.offline.rating_files import Reading
from app.training import publish, train
from recommender.training.blocks import IN_PROCESS
from recommender.training.config import Config

app = typer.Typer()

At = tuple[str | None, Path | None, int]  # address of a cluster, its folder, MB of a worker

REFUSED = 3  # exit status if the gate refused the model


@app.command("train")
def train_model(
    data: Data = None,
    out: ModelOut = None,
    model: ModelKind = "hybrid",
    content: Content = None,
    settings_file: SettingsFile = None,
    sentences: Sentences = None,
    columns: Columns = None,
    dates: Dates = None,
    if_better: IfBetter = False,
    json: Json = False,
    cluster: Address = None,
    cluster_folder: Shared = None,
    worker_memory: WorkerMemory = WORKER_MEGABYTES,
) -> None:
    """Train on all ratings and make the new model the active one; running services pick it up.

    With --data and --out, train on files and write the model to a folder, without a database.
    """
    at = cluster, cluster_folder, worker_memory
    if data is not None:
        reading = reading_of(columns, dates)
        summary = train_on_files(data, out, content or [], settings_file, sentences, reading, model, at)
        show(summary if json else f"The model is in {out}.", json=json)
        return
    if out is not None or content or columns or dates:
        raise typer.BadParameter("--out, --content, --columns and --dates need --data")
    version, verdict = train_on_database(model, settings_file, sentences, at, if_better=if_better)
    result = {"version": version} | ({} if verdict is None else {"gate": verdict})
    if verdict is None or verdict["passed"]:
        show(result if json else f"Model {version} is active.", json=json)
        return
    refused = f"Model {version} is stored but not active: {verdict['reason']}."
    show(result if json else refused, json=json)
    raise typer.Exit(REFUSED)


def train_on_database(
    kind: str, settings_file: Path | None, sentences: Path | None, at: At, *, if_better: bool
) -> tuple[str, dict[str, Any] | None]:
    """Train on the database; return the version of the model and the verdict of the gate."""
    address, folder, megabytes = at
    with (
        database() as (settings, url),
        workers_of(address, folder or settings.models, megabytes) as workers,
        console.progress("Training") as progress,
    ):
        try:
            version = train.train(
                url, settings.models, progress,
                kept_models=settings.kept_models, kind=kind, settings=settings_file, sentences=sentences,
                mlflow=settings.mlflow_tracking_uri, only_if_better=if_better,
                attributes=settings.content_attributes, workers=workers or IN_PROCESS,
            )  # fmt: skip
        except train.PERMANENT as error:
            raise console.fail(str(error)) from None
        return version, publish.verdict_of(url, version)


def train_on_files(
    data: Path,
    out: Path | None,
    content: list[Path],
    settings: Path | None,
    sentences: Path | None,
    reading: "Reading",
    kind: str,
    at: At = (None, None, WORKER_MEGABYTES),
) -> dict[str, object]:
    """Train on files, and return a summary of the model and its data."""
    if out is None:
        raise typer.BadParameter("--data needs --out, the folder for the model")
    address, folder, megabytes = at
    with (
        refusals(),
        workers_of(address, folder or out.parent, megabytes) as workers,
        console.progress("Training") as progress,
    ):
        training.check_model_folder(out)
        config = Config.read(settings) if settings else Config()
        sentence_model = training.read_sentence_model(sentences)
        data_set = training.read_data(data, content, progress, reading)
        print_report(data_set.report)
        model = training.train(data_set, out, config, progress, sentence_model, kind, workers or IN_PROCESS)
    ratings = data_set.interactions
    return {
        "model": str(out),
        "kind": kind,
        "users": ratings.n_users,
        "films": ratings.n_items,
        "ratings": ratings.nnz,
        "scale": data_set.scale,
        "metrics": model.manifest["metrics"],
    }
