"""Training publishes a complete model or none, and running services load it."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from subprocess import PIPE
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from app.training import __main__, data, jobs, publish, registry, train
from tests.conftest import ROOT
from tests.services import StartServer

VERSION = "{ recommendations(first: 1) { modelVersion } }"


def versions(database_url: str) -> list[tuple[str, str]]:
    with psycopg.connect(database_url) as connection:
        query = "SELECT version, status FROM model_versions ORDER BY trained_at"
        return connection.execute(query).fetchall()


def keep_a_part(database_url: str) -> None:
    """Delete most of the movies and members, so that a training is short."""
    with psycopg.connect(database_url) as connection:
        connection.execute("SET marquee.bulk = 'on'")
        connection.execute("DELETE FROM users WHERE id % 16 <> 0")
        connection.execute("DELETE FROM movies WHERE id % 4 <> 0")


def test_a_running_service_loads_a_new_model(
    seeded_database_url: str, start_server: StartServer, model_dir: Path
) -> None:
    keep_a_part(seeded_database_url)
    service = start_server(seeded_database_url, POLL_SECONDS="0.1")

    def served() -> str:
        answer = httpx.post(f"{service.url}/graphql", json={"query": VERSION}).json()
        version: str = answer["data"]["recommendations"]["modelVersion"]
        return version

    former = served()
    fresh = train.train(seeded_database_url, model_dir, lambda _stage, _fraction: None, kept_models=3)
    assert fresh != former
    deadline = time.monotonic() + 60
    while served() != fresh:
        assert time.monotonic() < deadline, service.log.read_text()
        time.sleep(0.05)
    assert versions(seeded_database_url) == [(former, "RETIRED"), (fresh, "ACTIVE")]


def test_a_killed_training_keeps_the_model_and_the_next_one_resumes(
    seeded_database_url: str, model_dir: Path, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    keep_a_part(seeded_database_url)
    before = versions(seeded_database_url)
    for version, _ in before:
        shutil.copytree(model_dir / version, models / version)
    kept = {path.name for path in models.iterdir()}
    script = (
        "import os, signal, sys; from pathlib import Path; from app.training import train\n"
        "train.train(sys.argv[1], Path(sys.argv[2]), lambda *_: None, kept_models=3,\n"
        "    conclude=lambda *_: os.kill(os.getpid(), signal.SIGKILL))\n"
    )
    command = [sys.executable, "-c", script, seeded_database_url, str(models)]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -signal.SIGKILL
    assert versions(seeded_database_url) == before
    (orphan,) = (path for path in models.iterdir() if path.name not in kept and path.name[0] != ".")
    marker = publish.marker(orphan)
    long_ago = time.time() - 2 * publish.UNFINISHED_SECONDS
    os.utime(marker, (long_ago, long_ago))

    stages: list[tuple[str, float]] = []
    fresh = train.train(seeded_database_url, models, lambda *stage: stages.append(stage), kept_models=3)
    assert [done for stage, done in stages if stage == "factors"] == [1.0]  # all iterations were kept
    assert versions(seeded_database_url)[-1] == (fresh, "ACTIVE")
    assert {path.name for path in models.iterdir()} == {*kept, fresh}


def test_training_uses_the_settings_of_a_search(database_url: str, tmp_path: Path) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO movies (title) SELECT 'Movie ' || n FROM generate_series(1, 9) AS n")
        connection.execute("INSERT INTO users (username) SELECT 'u' || n FROM generate_series(1, 9) AS n")
        connection.execute(
            "INSERT INTO ratings (user_id, movie_id, half_stars) SELECT users.id, movies.id, 1 + "
            "(users.id + movies.id) % 10 FROM users, movies WHERE (users.id * movies.id) % 3 > 0"
        )
    settings = tmp_path / "settings.toml"
    settings.write_text("iterations = 3\nalpha0 = 0.2\n")
    version = train.train(database_url, tmp_path, lambda *_: None, kept_models=3, settings=settings)
    config = json.loads((tmp_path / version / "manifest.json").read_text())["config"]
    assert (config["iterations"], config["alpha0"]) == (3, 0.2)

    settings.write_text("iterations = 0\n")
    order = {
        "database_url": database_url,
        "models": str(tmp_path),
        "kept_models": 3,
        "kind": "hybrid",
        "gate": True,
    }
    order |= {"settings": str(settings), "sentences": None, "attributes": "", "job_id": 1, "claim": ""}
    order |= {"log_level": "info", "log_format": "text", "mlflow": None}
    command = [sys.executable, "-m", "app.training"]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True, cwd=ROOT) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        output = json.loads(process.stdout.read().splitlines()[-1])
        assert process.wait() == __main__.REFUSED
    assert output == {"refused": f"{settings}: iterations must be a whole number from 1, not 0"}


def test_a_training_refused_at_the_end_leaves_no_files(database_url: str, tmp_path: Path) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO movies (title) SELECT 'Movie ' || n FROM generate_series(1, 9) AS n")

    def refuse(_connection: psycopg.Connection, _version: str) -> None:
        raise jobs.ClaimLost("Another process has taken it over.")

    with pytest.raises(jobs.ClaimLost):
        train.train(database_url, tmp_path, lambda *_: None, kept_models=3, conclude=refuse)
    assert versions(database_url) == []
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_train_on_is_an_error(database_url: str, tmp_path: Path) -> None:
    with pytest.raises(train.NothingToTrainOn, match="seed"):
        train.train(database_url, tmp_path, lambda _stage, _fraction: None, kept_models=3)
    assert versions(database_url) == []


def test_movies_without_ratings_can_be_trained_on(database_url: str, tmp_path: Path) -> None:
    """A new catalog has no ratings, but content."""
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO movies (title, year, overview) SELECT 'Movie ' || n, 1950 + n, 'A story of ' || n "
            "FROM generate_series(1, 40) AS n"
        )
    assert not registry.has_active_model(database_url, tmp_path)
    version = train.train(database_url, tmp_path, lambda _stage, _fraction: None, kept_models=3)
    assert versions(database_url) == [(version, "ACTIVE")]
    assert registry.has_active_model(database_url, tmp_path)
    # A model of another format does not count: the first start after an upgrade trains.
    manifest = tmp_path / version / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"format": ', '"format": 9'))
    assert not registry.has_active_model(database_url, tmp_path)


def test_simulated_members_are_used_only_until_real_members_rate(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO movies (title) SELECT 'Movie ' || n FROM generate_series(1, 3) AS n")
        connection.execute("INSERT INTO users (username, simulated) VALUES ('a', true), ('b', false)")
        connection.execute(
            "INSERT INTO ratings (user_id, movie_id, half_stars) "
            "SELECT users.id, movies.id, 8 FROM users, movies"
        )
        movies = data.read_movies(connection)

        def trained_on(simulated: bool, name: str) -> tuple[int, str]:
            connection.execute(
                "INSERT INTO dataset_versions (version, simulated, movie_count, member_count, rating_count) "
                "VALUES (%s, %s, 3, 1, 3)",
                (name, simulated),
            )
            interactions = data.read_interactions(connection, movies.item_ids)
            version = data.described(connection, movies, interactions).version
            return interactions.nnz, version.rpartition("-")[0]

        assert trained_on(True, "simulated-1") == (6, "simulated-1@6")
        assert trained_on(False, "real-1") == (3, "real-1@3")


def test_training_data_are_named_by_their_content(database_url: str, tmp_path: Path) -> None:
    def trained() -> tuple[str, dict[str, Any]]:
        version = train.train(database_url, tmp_path, lambda _stage, _fraction: None, kept_models=3)
        with psycopg.connect(database_url, row_factory=dict_row) as connection:
            query = (
                "SELECT * FROM model_versions JOIN training_data ON training_data.version = dataset_version "
            )
            row = connection.execute(query + "WHERE model_versions.version = %s", (version,)).fetchone()
        assert row is not None
        return version, row

    def execute(statement: str) -> None:
        with psycopg.connect(database_url) as connection:
            connection.execute(statement.encode())

    execute(
        "INSERT INTO movies (title, year) SELECT 'Movie ' || n, 1950 + n FROM generate_series(1, 40) AS n"
    )
    execute("INSERT INTO users (username) SELECT 'member ' || n FROM generate_series(1, 30) AS n")
    execute(
        "INSERT INTO ratings SELECT u, m, 1 + (u * m) % 10 FROM generate_series(1, 30) u, "
        "generate_series(1, 40) m WHERE (u + m) % 3 = 0"
    )
    execute(
        "INSERT INTO stream_positions (stream, partition, next_position) "
        "VALUES ('kafka:tv', 1, 9), ('kafka:tv', 0, 7), ('file:log', 0, 5)"
    )
    version, first = trained()
    streams = [(each["stream"], each["partition"], each["offset"]) for each in first["streams"]]
    assert streams == [("file:log", 0, 5), ("kafka:tv", 0, 7), ("kafka:tv", 1, 9)]
    assert (first["movie_count"], first["member_count"], first["rating_count"]) == (40, 30, 400)
    assert first["dataset_version"] == f"own@400-{first['checksum'][:12]}"
    assert first["first_rated_at"] <= first["last_rated_at"] <= first["read_at"] + timedelta(seconds=1)
    execute("UPDATE ratings SET half_stars = half_stars WHERE user_id = 3")  # the rows move, the data stay
    _, same = trained()
    assert (same["dataset_version"], same["read_at"]) == (first["dataset_version"], first["read_at"])
    execute("UPDATE ratings SET half_stars = 11 - half_stars WHERE user_id = 3 AND movie_id = 6")
    _, rated = trained()
    execute("UPDATE movies SET title = 'Another' WHERE id = 1")
    _, edited = trained()
    checksums = {row["checksum"] for row in (first, rated, edited)}
    assert len(checksums) == 3

    training = first["training"]
    assert training["parameters"]["seed"] == 0
    assert training["code"].startswith("0.") or training["code"].startswith("unknown")
    for name, checksum in training["checksums"].items():
        assert hashlib.sha256((tmp_path / version / name).read_bytes()).hexdigest() == checksum
    assert set(training["checksums"]) == {path.name for path in (tmp_path / version).iterdir()}
