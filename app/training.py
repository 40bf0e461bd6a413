"""From rows to a published model: read, fit, write the artifact, then make it the active one."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.types.json import Jsonb

from app.terminal import Progress
from recommender.content import Films
from recommender.hybrid import Hybrid
from recommender.interactions import Interactions

# Any number, as long as it is always this one.
TRAINING_LOCK = 7_312_055

FILMS = """
SELECT id, title, coalesce(overview, ''), keywords, coalesce(original_language, ''), coalesce(year, 0),
    coalesce(runtime_minutes, 'nan'::real), coalesce(popularity, 'nan'::real),
    coalesce(vote_average, 'nan'::real), coalesce(vote_count, 'nan'::real), coalesce(collection, ''),
    ARRAY(SELECT name FROM movie_genres JOIN genres ON genres.id = genre_id
        WHERE movie_id = movies.id ORDER BY name),
    ARRAY(SELECT name FROM credits JOIN people ON people.id = person_id
        WHERE movie_id = movies.id AND kind = 'DIRECTOR' ORDER BY position),
    ARRAY(SELECT name FROM credits JOIN people ON people.id = person_id
        WHERE movie_id = movies.id AND kind = 'CAST' ORDER BY position)
FROM movies ORDER BY id
"""

# Simulated members teach what to recommend only until a data set of real ones is there.
REAL_RATINGS_LOADED = "SELECT EXISTS (SELECT FROM dataset_versions WHERE NOT simulated AND rating_count > 0)"
RATINGS = """
COPY (
    SELECT user_id, movie_id, half_stars, extract(epoch FROM rated_at)::bigint
    FROM ratings JOIN users ON users.id = user_id
    WHERE NOT (simulated AND %(only_real)s)
) TO STDOUT (FORMAT binary)
"""
DATASETS = """
SELECT version FROM dataset_versions WHERE NOT (simulated AND %(only_real)s) ORDER BY loaded_at, version
"""

# A row of the binary COPY above: the number of columns, then each one's length and value, big-endian.
RATING_ROW = np.dtype(
    [
        ("columns", ">i2"),
        ("user_id_length", ">i4"),
        ("user_id", ">i8"),
        ("movie_id_length", ">i4"),
        ("movie_id", ">i8"),
        ("half_stars_length", ">i4"),
        ("half_stars", ">i2"),
        ("rated_at_length", ">i4"),
        ("rated_at", ">i8"),
    ]
)
COPY_HEADER, COPY_TRAILER = 19, 2


class NothingToTrainOn(Exception):
    """The database has no films."""


def read_films(connection: psycopg.Connection) -> Films:
    rows = connection.execute(FILMS).fetchall()
    if not rows:
        raise NothingToTrainOn("There are no films in the database: load some first (`marquee seed --help`).")
    (ids, titles, overviews, keywords, languages, years, runtimes, popularity, averages, counts, collections,
     genres, directors, cast) = zip(*rows, strict=True)  # fmt: skip
    return Films(
        item_ids=np.array(ids, np.int64),
        titles=list(titles),
        overviews=list(overviews),
        keywords=[tuple(names) for names in keywords],
        directors=[tuple(names) for names in directors],
        cast=[tuple(names) for names in cast],
        genres=[tuple(names) for names in genres],
        languages=list(languages),
        years=np.array(years, np.int16),
        runtimes=np.array(runtimes, np.float32),
        popularity=np.array(popularity, np.float32),
        vote_average=np.array(averages, np.float32),
        vote_count=np.array(counts, np.float32),
        collections=list(collections),
    )


def read_interactions(connection: psycopg.Connection, catalogue: NDArray[np.int64]) -> Interactions:
    with connection.cursor().copy(RATINGS, {"only_real": real_ratings_loaded(connection)}) as copy:
        binary = b"".join(copy)
    rows = np.frombuffer(binary[COPY_HEADER : len(binary) - COPY_TRAILER], RATING_ROW)
    return Interactions.from_arrays(
        rows["user_id"].astype(np.int64),
        rows["movie_id"].astype(np.int64),
        rows["half_stars"].astype(np.float32) / 2,
        rows["rated_at"].astype(np.int64),
        catalogue=catalogue,
    )


def real_ratings_loaded(connection: psycopg.Connection) -> bool:
    row = connection.execute(REAL_RATINGS_LOADED).fetchone()
    return row is not None and bool(row[0])


def dataset_version(connection: psycopg.Connection, interactions: Interactions) -> str:
    """The loaded data sets and the number of ratings, as `marquee-simulated-1+ml-latest-small@250836`."""
    names = connection.execute(DATASETS, {"only_real": real_ratings_loaded(connection)}).fetchall()
    return "+".join(name for (name,) in names or [("own",)]) + f"@{interactions.nnz}"


def train(database_url: str, models: Path, progress: Progress) -> str:
    """Train on all that the database holds and make the model the active one; returns its version.

    One training at a time for a database: a second one waits. Until the last step nothing of the new model
    is visible, so that a crash at any point leaves the former model active and no row behind.
    """
    with psycopg.connect(database_url, autocommit=True) as connection:
        progress("waiting for another training to end", 0.0)
        connection.execute("SELECT pg_advisory_lock(%s)", (TRAINING_LOCK,))
        progress("reading", 0.0)
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            films = read_films(connection)
            interactions = read_interactions(connection, films.item_ids)
            dataset = dataset_version(connection, interactions)
        model = Hybrid.fit(interactions, films, progress=progress)
        version = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid4().hex[:6]}"
        models.mkdir(parents=True, exist_ok=True)
        progress("writing", 0.0)
        model.save(models / version)
        progress("publishing", 0.0)
        publish(connection, version, dataset, model)
    return version


def publish(connection: psycopg.Connection, version: str, dataset: str, model: Hybrid) -> None:
    """Make `version` the active model, with its films' vectors, in one transaction."""
    with connection.transaction():
        connection.execute(
            "INSERT INTO model_versions (version, status, dataset_version, metrics) "
            "VALUES (%s, 'READY', %s, %s)",
            (version, dataset, Jsonb(model.manifest.get("metrics", {}))),
        )
        write_vectors(connection, version, model)
        connection.execute("UPDATE model_versions SET status = 'RETIRED' WHERE status = 'ACTIVE'")
        connection.execute("UPDATE model_versions SET status = 'ACTIVE' WHERE version = %s", (version,))


def write_vectors(connection: psycopg.Connection, version: str, model: Hybrid) -> None:
    connection.execute("CREATE TEMP TABLE fresh (movie_id bigint, embedding vector) ON COMMIT DROP")
    with connection.cursor().copy("COPY fresh FROM STDIN") as copy:
        for movie_id, vector in zip(model.item_ids.tolist(), model.content_vectors, strict=True):
            if vector.any():  # a film of which nothing is known has no direction
                copy.write_row((movie_id, "[" + ",".join(f"{value:.6g}" for value in vector.tolist()) + "]"))
    # A film deleted since the ratings were read has no row to belong to.
    connection.execute(
        """
        INSERT INTO movie_vectors (movie_id, embedding, model_version)
        SELECT movie_id, embedding, %s FROM fresh JOIN movies ON movies.id = movie_id
        ON CONFLICT (movie_id) DO UPDATE
        SET embedding = excluded.embedding, model_version = excluded.model_version
        """,
        (version,),
    )


def has_active_model(database_url: str, models: Path) -> bool:
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT version FROM model_versions WHERE status = 'ACTIVE'").fetchone()
    return row is not None and (models / row[0]).is_dir()
