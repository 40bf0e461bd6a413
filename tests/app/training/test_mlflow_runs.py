"""Trainings as runs of a real MLflow server, and trainings without one."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from app.training import mlflow_runs, train
from bench.processes.free_port import free_port


@pytest.fixture
def trained_database_url(database_url: str) -> str:
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO movies (title, year) SELECT 'M' || n, 1950 + n FROM generate_series(1, 40) n"
        )
        connection.execute("INSERT INTO users (username) SELECT 'member ' || n FROM generate_series(1, 30) n")
        connection.execute(
            "INSERT INTO ratings SELECT u, m, 1 + (u * m) % 10 FROM generate_series(1, 30) u, "
            "generate_series(1, 40) m WHERE (u + m) % 3 = 0"
        )
    return database_url


@pytest.fixture
def mlflow_url(tmp_path: Path) -> Iterator[str]:
    """The address of an MLflow server of another environment: ours has the client alone."""
    if (program := server_program()) is None:
        pytest.skip("an MLflow server (the package `mlflow`) is not in an environment of its own")
    port = free_port()
    folder = tmp_path / "mlflow"
    folder.mkdir()
    command = [program, "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    stores = [
        "--backend-store-uri",
        f"sqlite:///{folder}/runs.db",
        "--artifacts-destination",
        str(folder / "files"),
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, *stores], cwd=folder, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 90
        while not answers(url):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def server_program() -> str | None:
    """The program `mlflow` of another environment than ours."""
    ours = (Path(sys.prefix) / "bin").resolve()
    folders = [*map(Path, os.environ["PATH"].split(os.pathsep)), Path.home() / ".local/bin"]
    return shutil.which("mlflow", path=os.pathsep.join(str(f) for f in folders if f.resolve() != ours))


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").is_success
    except httpx.TransportError:
        return False


def test_a_training_is_a_run_with_its_data_parameters_and_metrics(
    trained_database_url: str, tmp_path: Path, mlflow_url: str
) -> None:
    quiet = {"progress": lambda _stage, _fraction: None, "kept_models": 3, "mlflow": mlflow_url}
    version = train.train(trained_database_url, tmp_path / "models", **quiet)  # type: ignore[arg-type]
    api = f"{mlflow_url}/api/2.0/mlflow"
    params = {"experiment_name": mlflow_runs.EXPERIMENT}
    experiment = httpx.get(f"{api}/experiments/get-by-name", params=params).json()["experiment"]
    body = {"experiment_ids": [experiment["experiment_id"]]}
    (run,) = httpx.post(f"{api}/runs/search", json=body).json()["runs"]
    assert run["info"]["run_name"] == version
    with psycopg.connect(trained_database_url) as connection:
        query = "SELECT dataset_version, training, metrics, checksum FROM model_versions JOIN training_data "
        (stored,) = connection.execute(
            query + "ON training_data.version = dataset_version WHERE model_versions.version = %s",
            [version],
        ).fetchall()
    dataset, training, metrics, checksum = stored
    assert run["info"]["status"] == "FINISHED"
    tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
    assert tags["marquee.dataset_version"] == dataset
    assert tags["marquee.code_version"] == training["code"]
    logged = {param["key"]: param["value"] for param in run["data"]["params"]}
    assert logged == {name: str(value) for name, value in training["parameters"].items()}
    values = {metric["key"]: metric["value"] for metric in run["data"]["metrics"]}
    assert values == pytest.approx(dict(mlflow_runs.named(metrics)))
    (data,) = run["inputs"]["dataset_inputs"]
    assert data["dataset"]["name"] == dataset
    assert checksum.startswith(data["dataset"]["digest"])
    (file,) = httpx.get(f"{api}/artifacts/list", params={"run_id": run["info"]["run_id"]}).json()["files"]
    assert file["path"] == "checksums.json"


def test_a_server_that_is_away_does_not_fail_the_training(
    trained_database_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    version = train.train(
        trained_database_url,
        tmp_path,
        lambda _stage, _fraction: None,
        kept_models=3,
        mlflow="http://127.0.0.1:1",
    )
    with psycopg.connect(trained_database_url) as connection:
        assert connection.execute("SELECT version, status FROM model_versions").fetchall() == [
            (version, "ACTIVE")
        ]
    assert "mlflow" in caplog.text.lower()


def test_metrics_have_names_that_mlflow_allows() -> None:
    metrics: dict[str, float | dict[str, float]] = {
        "ndcg@10": {"value": 0.3, "low": 0.2, "high": 0.4},
        "rmse": 0.9,
    }
    assert dict(mlflow_runs.named(metrics)) == {
        "ndcg_at_10": 0.3,
        "ndcg_at_10.low": 0.2,
        "ndcg_at_10.high": 0.4,
        "rmse": 0.9,
    }
