"""Make a model active and write the vectors of its movies to Postgres."""

from datetime import datetime, timedelta

import numpy as np
import psycopg
from numpy.typing import NDArray

from app.db import binary_copy
from app.db.movie_features import MOVIES, movies_of
from recommender.model.content import vectors_of
from recommender.model.hybrid import Hybrid

# An edit may begin before the movies are read and be committed after.
LONGEST_EDIT = timedelta(minutes=1)
RETIRE = """
UPDATE model_versions SET status = 'RETIRED', retired_at = now() WHERE status = 'ACTIVE' AND version <> %s
"""
ACTIVATE = "UPDATE model_versions SET status = 'ACTIVE', retired_at = NULL WHERE version = %s"
STOP_SHADOW = """
UPDATE shadow_runs SET status = 'STOPPED', stopped_at = now() WHERE status = 'RUNNING' AND version = %s
"""
# A movie that was deleted meanwhile has no row to refer to. The row lock waits for deletions in progress.
WRITE_VECTORS = """
INSERT INTO movie_vectors (movie_id, embedding, model_version)
SELECT movie_id, embedding, %s FROM fresh JOIN movies ON movies.id = movie_id
ORDER BY movie_id FOR KEY SHARE OF movies
ON CONFLICT (movie_id) DO UPDATE
SET embedding = excluded.embedding, model_version = excluded.model_version
"""


def make_active(connection: psycopg.Connection, model: Hybrid, learnt_at: datetime) -> None:
    """Make the model the active one and replace all movie vectors, in a transaction that holds LOCK.

    Movies that were added or changed since `learnt_at` are embedded as they are now.
    """
    connection.execute(RETIRE, (model.version,))
    connection.execute(ACTIVATE, (model.version,))
    connection.execute(STOP_SHADOW, (model.version,))
    connection.execute("CREATE TEMP TABLE fresh (movie_id bigint, embedding vector) ON COMMIT DROP")
    changed = changed_movies(connection, model, learnt_at)
    unchanged = ~np.isin(model.item_ids, changed)
    copy_vectors(connection, model.item_ids[unchanged], model.content_vectors[unchanged])
    if changed.size:
        movies = movies_of(
            connection.execute(MOVIES + "WHERE id = ANY(%s) ORDER BY id", (changed.tolist(),)).fetchall()
        )
        copy_vectors(connection, movies.item_ids, vectors_of(model.encoder.transform(movies)))
    connection.execute(WRITE_VECTORS, (model.version,))
    connection.execute("DELETE FROM movie_vectors WHERE model_version <> %s", (model.version,))


def changed_movies(connection: psycopg.Connection, model: Hybrid, learnt_at: datetime) -> NDArray[np.int64]:
    """Ids of movies that were added or edited since the model's were read, int64, ascending."""
    rows = connection.execute(
        "SELECT id, updated_at >= %s FROM movies ORDER BY id", (learnt_at - LONGEST_EDIT,)
    ).fetchall()
    ids = np.array([id_ for id_, _ in rows], np.int64)
    edited = np.array([edited for _, edited in rows], np.bool_)
    return ids[edited | ~np.isin(ids, model.item_ids)]


def copy_vectors(
    connection: psycopg.Connection, movie_ids: NDArray[np.int64], vectors: NDArray[np.float32]
) -> None:
    """Copy vectors, float32 (n, width), to the table `fresh`.

    Rows of zeros, of movies without features, are left out: they have no cosine.
    """
    kept = vectors.any(axis=1)
    n_kept, width = int(kept.sum()), vectors.shape[1]
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
    rows = np.zeros(n_kept, row)
    rows["columns"], rows["movie_id_length"], rows["vector_length"] = 2, 8, 4 + 4 * width
    rows["movie_id"], rows["width"], rows["vector"] = movie_ids[kept], width, vectors[kept]
    with connection.cursor().copy("COPY fresh FROM STDIN (FORMAT binary)") as copy:
        copy.write(binary_copy.HEADER + rows.tobytes() + binary_copy.TRAILER)
