"""One process and a Ray cluster give the same factors, models and lists."""

import json
import socket
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import psycopg
import pytest
from scipy import sparse

from app.cluster.connection import Cluster, ClusterError, connected
from recommender.training import ials
from recommender.training.blocks import IN_PROCESS, Workers
from tests.app.cluster import killed_workers
from tests.app.offline.conftest import marquee, rows, succeed

MEGABYTE = 1 << 20
ITERATIONS = 3

pytestmark = pytest.mark.long("cluster")


def fitted(workers: Workers) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    targets = sparse.random(400, 150, 0.1, format="csr", rng=rng, dtype=np.float32)
    return ials.fit(
        targets, factors=24, iterations=ITERATIONS, rng=rng, regularization=0.02, alpha0=0.3, workers=workers
    )


def assert_same(factors: tuple[np.ndarray, np.ndarray], expected: tuple[np.ndarray, np.ndarray]) -> None:
    for side, other in zip(factors, expected, strict=True):
        np.testing.assert_allclose(side, other, rtol=1e-4, atol=1e-6)


def test_the_factors_are_those_of_one_process(cluster_address: str, tmp_path: Path) -> None:
    notes: list[str] = []
    memory = 1_500 * MEGABYTE
    with connected(Cluster(cluster_address, tmp_path / "shared", memory), notes) as workers:
        factors = fitted(workers)
        usage = workers.usage  # type: ignore[attr-defined] # of Ray
    assert_same(factors, fitted(IN_PROCESS))
    assert list((tmp_path / "shared").iterdir()) == []
    assert notes == [usage.described()]
    assert "cluster of 2 nodes and 2 cores" in notes[0]
    assert len(usage.by_node) == 2
    assert usage.blocks >= 2 * 8 * ITERATIONS
    # Each half-step sends the fixed factors to each node and takes the others back.
    sides = (400 + 150) * 24 * 4
    assert usage.received == ITERATIONS * sides
    assert ITERATIONS * sides <= usage.sent <= 2 * ITERATIONS * (sides + 2 * 24 * 24 * 4)
    assert usage.read == ITERATIONS * usage.written > 0
    assert 0 < usage.peak <= memory


def test_the_block_of_a_killed_worker_is_computed_again(
    cluster_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = tmp_path / "calls"
    calls.mkdir()
    expected = fitted(IN_PROCESS)
    monkeypatch.setattr(ials, "solve_block", partial(killed_workers.killed_once, calls))
    with connected(Cluster(cluster_address, tmp_path, 1_500 * MEGABYTE), []) as workers:
        factors = fitted(workers)
        usage = workers.usage  # type: ignore[attr-defined] # of Ray
    assert not psutil.pid_exists(int((calls / "killed").read_text()))
    again = len(list(calls.glob("call-*"))) - usage.blocks
    assert again == 1, "only the block of the killed worker"
    assert_same(factors, expected)


def test_commands_write_the_model_and_the_lists_of_one_process(
    cluster_address: str, ratings: Path, tmp_path: Path
) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text("factors = 8\niterations = 3\n")
    cluster = ("--cluster", cluster_address, "--worker-memory", 1_500)
    (tmp_path / "users.csv").write_text("user_id\n7\n1001\n")
    models, lists = [], []
    for name, options in (("one", ()), ("many", cluster)):
        model, out = tmp_path / name, tmp_path / f"{name}.parquet"
        result = succeed("train", "--data", ratings, "--out", model, "--settings", settings, *options)
        assert ("peak memory of a worker" in result.output) == bool(options)
        models.append({file.name: np.load(file) for file in sorted(model.glob("*.npy"))})
        succeed(
            "recommend", "--model", tmp_path / "one", "--histories", ratings, "--k", 5, "--out", out,
            "--users", tmp_path / "users.csv", *options,
        )  # fmt: skip
        lists.append(rows(out))
    assert len(models[0]) > 10
    assert models[0].keys() == models[1].keys()
    for name, array in models[0].items():
        np.testing.assert_allclose(models[1][name], array, rtol=1e-3, atol=1e-5, err_msg=name)
    assert len(lists[0]) == 61 * 5
    for one, other in zip(*lists, strict=True):
        assert one.keys() == other.keys()
        for column, value in one.items():
            assert other[column] == pytest.approx(value, rel=1e-4), column
    assert {path.name for path in tmp_path.iterdir()} == {
        "settings.toml", "users.csv", "one", "many", "one.parquet", "many.parquet"
    }  # fmt: skip


def test_too_little_memory_is_refused_with_what_is_needed(cluster_address: str, tmp_path: Path) -> None:
    with (
        connected(Cluster(cluster_address, tmp_path, 20 * MEGABYTE), []) as workers,
        pytest.raises(ClusterError, match=r"^20 MB are too little for a worker, which needs \d+ MB$"),
    ):
        fitted(workers)
    with (
        pytest.raises(ClusterError, match="no node of the cluster has a core and 5000 MB"),
        connected(Cluster(cluster_address, tmp_path, 5_000 * MEGABYTE), []),
    ):
        pass


def one_line(address: str, ratings: Path, out: Path) -> str:
    result = marquee("train", "--data", ratings, "--out", out, "--cluster", address)
    assert result.exit_code == 1
    assert not out.exists()
    (line,) = result.output.splitlines()
    return line


def test_a_bad_address_is_one_line_in_bounded_time(
    ratings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray", reason="needs the extra `cluster`: pip install ray")
    monkeypatch.setattr("app.cluster.ray_workers.CONNECT_SECONDS", 12)
    for address in ("nowhere", "ray://127.0.0.1:10001", "127.0.0.1:port"):
        assert "is not the address of a cluster" in one_line(address, ratings, tmp_path / "model")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        assert "no cluster answers at" in one_line(address, ratings, tmp_path / "model")
        silent.listen()
        began = time.monotonic()
        assert "Ray cluster" in one_line(address, ratings, tmp_path / "model")
        assert time.monotonic() - began < 40


def test_without_ray_the_extra_is_named(
    ratings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "app.cluster.ray_workers", raising=False)
    monkeypatch.delitem(sys.modules, "app.cluster.tasks", raising=False)
    assert "install the extra `cluster`" in one_line("127.0.0.2:6379", ratings, tmp_path / "model")


def test_a_model_of_the_database_is_that_of_one_process(
    cluster_address: str, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("SECRET_KEY", "x" * 32)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO movies (title) SELECT 'Movie ' || n FROM generate_series(1, 30) AS n")
        connection.execute("INSERT INTO users (username) SELECT 'u' || n FROM generate_series(1, 40) AS n")
        connection.execute(
            "INSERT INTO ratings (user_id, movie_id, half_stars) SELECT users.id, movies.id, 1 + "
            "(users.id * movies.id) % 10 FROM users, movies WHERE (users.id + movies.id * 7) % 3 > 0"
        )
    factors = []
    for options in ((), ("--cluster", cluster_address, "--worker-memory", 1_500)):
        result = succeed("train", "--json", *options)
        version = json.loads(result.stdout)["version"]
        factors.append(np.load(tmp_path / "models" / version / "factors.item_factors.npy"))
        assert ("peak memory of a worker" in result.stderr) == bool(options)
    np.testing.assert_allclose(factors[1], factors[0], rtol=1e-3, atol=1e-5)
    assert {path.name for path in (tmp_path / "models").glob(".*")} == set()
