"""From rows to a published model: read, fit, measure, write the artifact, then make it the active one."""

import math
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import psycopg

from app import publishing
from app.terminal import Progress
from app.training_data import NothingToTrainOn, dataset_version, read_films, read_interactions
from recommender.artifact import ArtifactError
from recommender.hybrid import Hybrid
from recommender.sentences import SentenceModel

__all__ = ["NothingToTrainOn", "has_active_model", "train"]

# Any number, as long as it is always this one.
TRAINING_LOCK = 7_312_055


def nothing_more(_connection: psycopg.Connection, _version: str) -> None:
    pass


def train(
    database_url: str,
    models: Path,
    progress: Progress,
    *,
    kept_models: int,
    sentences: Path | None = None,
    conclude: Callable[[psycopg.Connection, str], None] = nothing_more,
) -> str:
    """Train on all that the database holds and make the model the active one; returns its version.

    One training at a time for a database: a second one waits. Until the last step nothing of the new model
    is visible, so that a crash at any point leaves the former model active and no row behind. `conclude` is
    part of the transaction that makes it visible. `sentences`: folder of a model of texts. Raises
    NothingToTrainOn, SentenceModelError.
    """
    sentence_model = None if sentences is None else SentenceModel.open(sentences)
    with psycopg.connect(database_url, autocommit=True) as connection:
        progress("waiting for another training to end", 0.0)
        connection.execute("SELECT pg_advisory_lock(%s)", (TRAINING_LOCK,))
        progress("reading", 0.0)
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            learnt_at = connection.execute("SELECT now()").fetchall()[0][0]
            films = read_films(connection)
            interactions = read_interactions(connection, films.item_ids)
            dataset = dataset_version(connection, interactions)
        model = Hybrid.fit(interactions, films, progress=progress, sentences=sentence_model)
        figures = model.manifest["metrics"].items()
        model.manifest["metrics"] = {name: figure for name, figure in figures if is_known(figure)}
        folder = models / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid4().hex[:6]}"
        models.mkdir(parents=True, exist_ok=True)
        progress("writing", 0.0)
        model.save(folder)
        model.manifest["version"] = folder.name
        progress("publishing", 0.0)
        try:
            publishing.publish(connection, model, dataset=dataset, learnt_at=learnt_at, conclude=conclude)
        except BaseException:
            shutil.rmtree(folder)
            raise
        publishing.remove_retired(connection, models, kept_models)
    return model.version


def is_known(figure: float | dict[str, float]) -> bool:
    """Whether there was enough to measure it on."""
    return all(map(math.isfinite, figure.values() if isinstance(figure, dict) else [figure]))


def has_active_model(database_url: str, models: Path) -> bool:
    """Whether there is one that this release can read."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT version FROM model_versions WHERE status = 'ACTIVE'").fetchone()
    if row is None:
        return False
    try:
        Hybrid.load(models / row[0])
    except (ArtifactError, OSError):
        return False
    return True
