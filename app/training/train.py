"""Train a model on the database and publish it."""

import hashlib
import math
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import psycopg

from app.db.engine import lock
from app.training import data, gate, mlflow_runs, publish
from app.training.data import NothingToTrainOn, TrainingData
from recommender.evaluation.gate import Verdict
from recommender.interactions import Interactions
from recommender.item_features import ItemFeatures
from recommender.model.hybrid import HYBRID, Hybrid
from recommender.model.sentence_embeddings import SentenceModel, SentenceModelError
from recommender.progress import Progress
from recommender.scorers import kinds
from recommender.scorers.kinds import TorchMissing, UnknownKind
from recommender.training.blocks import IN_PROCESS, Workers
from recommender.training.checkpoint import Checkpoint
from recommender.training.config import Config, InvalidSettings
from recommender.training.train_arm import train_model

__all__ = ["PERMANENT", "NothingToTrainOn", "train"]

# Failures that a retry repeats.
PERMANENT = (NothingToTrainOn, InvalidSettings, SentenceModelError, UnknownKind, TorchMissing)

# Key of an advisory lock; any number that no other code locks.
TRAINING_LOCK = 7_312_055


def nothing_more(_connection: psycopg.Connection, _version: str) -> None:
    pass


def train(
    database_url: str,
    models: Path,
    progress: Progress,
    *,
    kept_models: int,
    kind: str = HYBRID,
    settings: Path | None = None,
    sentences: Path | None = None,
    attributes: str = "",
    mlflow: str | None = None,
    only_if_better: bool = False,
    conclude: Callable[[psycopg.Connection, str], None] = nothing_more,
    workers: Workers = IN_PROCESS,
) -> str:
    """Train on the whole database and make the model the active one; return its version.

    `only_if_better`: not if the gate refuses it (`gate.judged`). It is then stored, READY, with the reason.

    Each database has one training at a time; a second one waits. The new model becomes visible in the last
    step, in one transaction with `conclude`. A crash before that leaves the former model active
    and no model behind, and the next training on the same ratings resumes from the last finished iteration.

    `kind`: one of `recommender.scorers.kinds.KINDS`. `settings`: a settings file. `sentences`: the folder of
    a sentence model. `attributes`: see `data.read_movies`. `mlflow`: the URI of an MLflow server, which
    mirrors the training. `workers`: see `train_hybrid`. Raises one of PERMANENT, and OSError if
    `models` is not writable.
    """
    kinds.check(kind)
    config = Config.read(settings) if settings else Config()
    sentence_model = None if sentences is None else SentenceModel.open(sentences)
    with psycopg.connect(database_url, autocommit=True) as connection:
        lock(connection, TRAINING_LOCK, lambda: progress("waiting for another training to end", 0.0))
        require_writable(models)
        checkpoint = models / f".checkpoint-{database_name(connection)}"
        kept = Checkpoint(checkpoint)
        fitted = fit(connection, kind, config, kept, sentence_model, progress, attributes, workers)
        model = fitted.model
        verdict = None
        if only_if_better:
            verdict = gate.judged(
                connection, models, model, fitted.interactions, fitted.movies, sentence_model, progress
            )
        training = write(connection, model, models, fitted.dataset, verdict, conclude, progress)
        shutil.rmtree(checkpoint, ignore_errors=True)
        publish.remove_retired(connection, models, kept_models)
    if mlflow is not None:
        metrics = model.manifest["metrics"]
        mlflow_runs.mirror(mlflow, model.version, fitted.dataset.read_at, fitted.dataset, training, metrics)
    return model.version


def write(
    connection: psycopg.Connection,
    model: Hybrid,
    models: Path,
    dataset: TrainingData,
    verdict: Verdict | None,
    conclude: Callable[[psycopg.Connection, str], None],
    progress: Progress,
) -> dict[str, Any]:
    """Write the model to a new folder of `models` and publish it. Returns the description of the training."""
    folder = models / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid4().hex[:6]}"
    progress("writing", 0.0)
    publish.marker(folder).touch()
    try:
        model.save(folder)
        model.manifest["version"] = folder.name
        progress("publishing", 0.0)
        return publish.publish(connection, model, folder, dataset, verdict=verdict, conclude=conclude)
    finally:
        with suppress(psycopg.OperationalError):  # the marker stays if the database is unreachable
            publish.remove_unpublished(connection, folder)


def require_writable(models: Path) -> None:
    """Raise OSError before the training if no model could be written after it."""
    probe = models / f".writable-{uuid4().hex}"
    try:
        models.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = f"{error.strerror}; set MODEL_DIR to a folder that can be written"
        raise OSError(error.errno, reason, str(models)) from None


def database_name(connection: psycopg.Connection) -> str:
    """A name for the database, unique among those that share a folder of models.

    It keeps a training from removing the checkpoint of another database.
    """
    info = connection.info
    return hashlib.blake2b(f"{info.host}:{info.port}/{info.dbname}".encode(), digest_size=8).hexdigest()


class Fitted(NamedTuple):
    model: Hybrid
    dataset: TrainingData
    interactions: Interactions
    movies: ItemFeatures


def fit(
    connection: psycopg.Connection,
    kind: str,
    config: Config,
    checkpoint: Checkpoint,
    sentences: SentenceModel | None,
    progress: Progress,
    attributes: str = "",
    workers: Workers = IN_PROCESS,
) -> Fitted:
    """Fit a model on the whole database. Metrics that could not be measured are left out."""
    progress("reading", 0.0)
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        movies = data.read_movies(connection, attributes)
        interactions = data.read_interactions(connection, movies.item_ids)
        dataset = data.described(connection, movies, interactions)
    data.store(connection, dataset)
    model = train_model(kind, interactions, movies, config, progress, checkpoint, sentences, workers=workers)
    figures = model.manifest["metrics"].items()
    model.manifest["metrics"] = {name: figure for name, figure in figures if is_measured(figure)}
    return Fitted(model, dataset, interactions, movies)


def is_measured(figure: float | dict[str, float]) -> bool:
    """Whether there was enough data to measure the metric; it is nan otherwise."""
    return all(map(math.isfinite, figure.values() if isinstance(figure, dict) else [figure]))
