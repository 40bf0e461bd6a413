"""A trained model becomes the active one, with its films' vectors; retired ones make room."""

import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from time import time
from uuid import uuid4

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.types.json import Jsonb

from app.training_data import FILMS, films_of
from recommender.content import vectors_of
from recommender.hybrid import Hybrid

# An edit may have begun before the films were read and have ended after.
LONGEST_EDIT = timedelta(minutes=1)
UNFINISHED_SECONDS = 86_400  # after which a hidden folder is one that a killed process left

COPY_HEADER, COPY_TRAILER = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"

# Statuses change under this lock only: readers are not kept waiting, and no two activations meet.
LOCK = "LOCK TABLE model_versions IN SHARE ROW EXCLUSIVE MODE"
RETIRE = """
UPDATE model_versions SET status = 'RETIRED', retired_at = now() WHERE status = 'ACTIVE' AND version <> %s
"""
ACTIVATE = "UPDATE model_versions SET status = 'ACTIVE', retired_at = NULL WHERE version = %s"
# A film deleted meanwhile has no row to belong to; one that is being deleted is waited for.
WRITE_VECTORS = """
INSERT INTO movie_vectors (movie_id, embedding, model_version)
SELECT movie_id, embedding, %s FROM fresh JOIN movies ON movies.id = movie_id
ORDER BY movie_id FOR KEY SHARE OF movies
ON CONFLICT (movie_id) DO UPDATE
SET embedding = excluded.embedding, model_version = excluded.model_version
"""
REMOVE = """
UPDATE model_versions SET status = 'REMOVED' WHERE version IN (
    SELECT version FROM model_versions WHERE status = 'RETIRED'
    ORDER BY coalesce(retired_at, trained_at) DESC, version DESC OFFSET %s
)
"""


def publish(
    connection: psycopg.Connection,
    model: Hybrid,
    *,
    dataset: str,
    learnt_at: datetime,
    conclude: Callable[[psycopg.Connection, str], None],
) -> None:
    """Make a saved model the active one, in one transaction of which `conclude` is the last part.

    learnt_at: when its films and ratings were read.
    """
    with connection.transaction():
        connection.execute(LOCK)
        connection.execute(
            "INSERT INTO model_versions (version, status, dataset_version, metrics, trained_at) "
            "VALUES (%s, 'READY', %s, %s, %s)",
            (model.version, dataset, Jsonb(model.manifest["metrics"]), learnt_at),
        )
        make_active(connection, model, learnt_at)
        conclude(connection, model.version)


def make_active(connection: psycopg.Connection, model: Hybrid, learnt_at: datetime) -> None:
    """Part of a transaction that holds LOCK: the model becomes the active one, all film vectors its own.

    Films that were added or changed since it learnt are embedded by its encoder as they are now.
    """
    connection.execute(RETIRE, (model.version,))
    connection.execute(ACTIVATE, (model.version,))
    connection.execute("CREATE TEMP TABLE fresh (movie_id bigint, embedding vector) ON COMMIT DROP")
    changed = changed_films(connection, model, learnt_at)
    as_learnt = ~np.isin(model.item_ids, changed)
    copy_vectors(connection, model.item_ids[as_learnt], model.content_vectors[as_learnt])
    if changed.size:
        films = films_of(
            connection.execute(FILMS + "WHERE id = ANY(%s) ORDER BY id", (changed.tolist(),)).fetchall()
        )
        copy_vectors(connection, films.item_ids, vectors_of(model.encoder.transform(films)))
    connection.execute(WRITE_VECTORS, (model.version,))
    connection.execute("DELETE FROM movie_vectors WHERE model_version <> %s", (model.version,))


def changed_films(connection: psycopg.Connection, model: Hybrid, learnt_at: datetime) -> NDArray[np.int64]:
    """int64, ascending: films that are there and not, or not as they are now, in what the model learnt."""
    rows = connection.execute(
        "SELECT id, updated_at >= %s FROM movies ORDER BY id", (learnt_at - LONGEST_EDIT,)
    ).fetchall()
    ids = np.array([id_ for id_, _ in rows], np.int64)
    edited = np.array([edited for _, edited in rows], np.bool_)
    return ids[edited | ~np.isin(ids, model.item_ids)]


def copy_vectors(
    connection: psycopg.Connection, movie_ids: NDArray[np.int64], vectors: NDArray[np.float32]
) -> None:
    """vectors: float32 (n, width); a row of zeros, of a film of which nothing is known, has no direction."""
    known = vectors.any(axis=1)
    n_known, width = int(known.sum()), vectors.shape[1]
    row = np.dtype(
        [
            ("columns", ">i2"),
            ("movie_id_length", ">i4"),
            ("movie_id", ">i8"),
            ("vector_length", ">i4"),
            ("width", ">i2"),
            ("unused", ">i2"),
            ("vector", ">f4", (width,)),
        ]
    )
    rows = np.zeros(n_known, row)
    rows["columns"], rows["movie_id_length"], rows["vector_length"] = 2, 8, 4 + 4 * width
    rows["movie_id"], rows["width"], rows["vector"] = movie_ids[known], width, vectors[known]
    with connection.cursor().copy("COPY fresh FROM STDIN (FORMAT binary)") as copy:
        copy.write(COPY_HEADER + rows.tobytes() + COPY_TRAILER)


def remove_retired(connection: psycopg.Connection, models: Path, kept: int) -> None:
    """Remove the files of all but the `kept` models that retired last; what is known of them stays.

    A process that has one of them mapped keeps it: its files go when the last such process lets go of them.
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
    """A file that stands while the model in `folder` is being written and made known.

    Where a process is killed meanwhile it stays, and tells the folder from the models of other databases.
    """
    return folder.with_name(f".{folder.name}.unpublished")


def remove_unpublished(connection: psycopg.Connection, folder: Path) -> None:
    """Remove the marker, and the model if it was not made known."""
    if not connection.execute("SELECT FROM model_versions WHERE version = %s", (folder.name,)).rowcount:
        shutil.rmtree(folder, ignore_errors=True)
    marker(folder).unlink(missing_ok=True)
