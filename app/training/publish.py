"""Publish trained models, and remove the files of retired ones."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from time import time
from typing import Any
from uuid import uuid4

import orjson
import psycopg
from psycopg.types.json import Jsonb

from app.training.code_version import code_version
from app.training.data import TrainingData
from app.training.vectors import make_active
from recommender.evaluation.gate import Verdict
from recommender.model import artifact
from recommender.model.hybrid import HYBRID, Hybrid

UNFINISHED_SECONDS = 86_400  # an older hidden folder is the remains of a killed process


# Statuses change only under this lock. It excludes concurrent activations but does not block readers.
LOCK = "LOCK TABLE model_versions IN SHARE ROW EXCLUSIVE MODE"
REMOVE = """
UPDATE model_versions SET status = 'REMOVED' WHERE version IN (
    SELECT version FROM (
        SELECT version, row_number() OVER (
            PARTITION BY status ORDER BY coalesce(retired_at, trained_at) DESC, version DESC) AS place
        FROM model_versions WHERE status IN ('RETIRED', 'READY') AND version NOT IN (
            SELECT model_version FROM experiment_arms JOIN experiments ON experiments.id = experiment_id
            WHERE model_version IS NOT NULL AND stopped_at IS NULL AND ends_at > now()
            UNION ALL SELECT version FROM shadow_runs WHERE status = 'RUNNING')
    ) AS inactive WHERE place > %s
)
"""


def publish(
    connection: psycopg.Connection,
    model: Hybrid,
    folder: Path,
    dataset: TrainingData,
    *,
    verdict: Verdict | None = None,
    conclude: Callable[[psycopg.Connection, str], None],
) -> dict[str, Any]:
    """Make a model the active one, in one transaction that ends with a call of `conclude`.

    folder: in which it is saved. verdict: of the gate; a refused model is stored but not made active.
    Returns its description, see `described`.
    """
    training = described(folder) | ({} if verdict is None else {"gate": asdict(verdict)})
    with connection.transaction():
        connection.execute(LOCK)
        connection.execute(
            "INSERT INTO model_versions (version, status, dataset_version, metrics, training, trained_at) "
            "VALUES (%s, 'READY', %s, %s, %s, %s)",
            (
                model.version,
                dataset.version,
                Jsonb(model.manifest["metrics"]),
                Jsonb(training),
                dataset.read_at,
            ),
        )
        if verdict is None or verdict.passed:
            make_active(connection, model, dataset.read_at)
        conclude(connection, model.version)
    return training


def verdict_of(database_url: str, version: str) -> dict[str, Any] | None:
    """The verdict of the gate on a model, see `gate.Verdict`; None without one."""
    with psycopg.connect(database_url) as connection:
        query = "SELECT training -> 'gate' FROM model_versions WHERE version = %s"
        row = connection.execute(query, (version,)).fetchone()
    return None if row is None else row[0]


def described(folder: Path) -> dict[str, Any]:
    """The origin of a saved model: code, parameters with the seed, and the SHA-256 of each file."""
    manifest = (folder / artifact.MANIFEST).read_bytes()
    of = orjson.loads(manifest)
    return {
        "code": code_version(),
        "kind": of.get("kind", HYBRID),
        "parameters": of["config"],
        "sentences": of["sentences"],
        "checksums": {
            artifact.MANIFEST: hashlib.sha256(manifest).hexdigest(),
            **{f"{name}.npy": array[artifact.CHECKSUM] for name, array in sorted(of["arrays"].items())},
        },
    }


def remove_retired(connection: psycopg.Connection, models: Path, kept: int) -> None:
    """Remove the files of inactive models; their rows stay.

    The `kept` retired last stay, as many of those that the gate refused, the models of arms of experiments
    that are not over, and the one in shadow mode.

    A process that has mapped the files of a model can still read them.
    """
    with connection.transaction():
        connection.execute(LOCK)
        connection.execute(REMOVE, (kept,))
    removed = connection.execute("SELECT version FROM model_versions WHERE status = 'REMOVED'").fetchall()
    for (version,) in removed:
        if (models / version).is_dir():
            (models / version).rename(models / f".{version}.{uuid4().hex}")
    for hidden in models.glob(".*"):
        name = hidden.name[1:].rpartition(".")[0]
        old = hidden.stat().st_mtime < time() - UNFINISHED_SECONDS
        if old and hidden == marker(models / name):
            remove_unpublished(connection, models / name)
        elif old or (name,) in removed:
            shutil.rmtree(hidden, ignore_errors=True)


def marker(folder: Path) -> Path:
    """The path of a file that exists while the model in `folder` is written and published.

    If the process is killed meanwhile, the file stays. It distinguishes the folder from published models of
    other databases.
    """
    return folder.with_name(f".{folder.name}.unpublished")


def remove_unpublished(connection: psycopg.Connection, folder: Path) -> None:
    """Remove the marker, and the model if it was not published."""
    if not connection.execute("SELECT FROM model_versions WHERE version = %s", (folder.name,)).rowcount:
        shutil.rmtree(folder, ignore_errors=True)
    marker(folder).unlink(missing_ok=True)
