"""Measure iALS iterations and lists on Ray clusters of one to N workers of one core, against one process.

    RAY_USAGE_STATS_ENABLED=0 python -m bench.cluster [--ratings N] [--workers N] [--json FILE] [--page FILE]

Ratings are random with a long tail (`bench.ials_epoch`). Each worker is a Ray node of one core on a loopback
address of its own; the node of the command has none. One process has as many threads as there are workers.
A figure of an iteration is half the difference between three iterations and one: no start, no compilation.
"""

import argparse
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numba
import numpy as np
import psutil
from scipy import sparse

from app.cluster.connection import MEGABYTE, Cluster, connected
from app.cluster.ray_workers import RayWorkers
from app.offline import lists
from app.offline.batch import Histories
from bench.figures import Figure, commit, hardware, write
from bench.ials_epoch import random_ratings
from recommender.interactions import Interactions
from recommender.item_features import ItemFeatures
from recommender.model.hybrid import Hybrid
from recommender.training import ials
from recommender.training.blocks import IN_PROCESS, Workers
from recommender.training.config import Config
from recommender.training.train import train_hybrid

N_RATINGS = 2_000_000
FACTORS = 64
N_USERS, N_MOVIES, N_LISTS, K = 500, 2_000, 8_000, 20  # of the lists
WORKER_MEGABYTES = 1_500
TOLERANCE = 1e-4  # of factors, relative to the largest


class Spent(NamedTuple):
    """Wall and processor seconds of this process and of the workers, and bytes of an iteration."""

    wall: float
    command: float
    workers: float
    sent: float
    received: float
    read: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--ratings", type=int, default=N_RATINGS, help="number of ratings")
    parser.add_argument(
        "--workers", type=int, default=psutil.cpu_count(), help="most workers, up to the cores"
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--page", type=Path, help="write a page with the figures to this file")
    options = parser.parse_args()
    figures = list(measure(options.ratings, options.workers))
    for figure in figures:
        print(f"{figure.key}: {figure.value:,.3f} {figure.unit}")  # noqa: T201 - it is a command
    data = f"{options.ratings:,} random ratings, {FACTORS} factors; lists of {K} for {N_LISTS} random users"
    if options.json:
        write(options.json, data, figures)
    if options.page:
        options.page.write_text(page(options.ratings, data, figures), encoding="utf-8")


def measure(n_ratings: int, most: int) -> Iterator[Figure]:
    ratings = random_ratings(n_ratings)
    model, histories = small_model()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model.save(folder / "model")
        for n in range(1, most + 1):
            numba.set_num_threads(n)
            one, factors = iteration(ratings, IN_PROCESS)
            with cluster_of(n, folder) as workers:
                many, others = iteration(ratings, workers)
                yield from compared(n, one, many, apart(factors, others))
                yield Figure(f"{n} workers, most memory of one", workers.usage.peak / MEGABYTE, "MiB")
                yield lists_figure(f"{n} workers", model, histories, folder, workers)
            yield lists_figure(f"{n} processes", model, histories, folder, None, n)


@contextmanager
def cluster_of(n_workers: int, folder: Path) -> Iterator[RayWorkers]:
    """Start a cluster on loopback addresses, and connect to it."""
    from ray.cluster_utils import Cluster as Nodes  # noqa: PLC0415 - an extra

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    logging.getLogger("ray").setLevel(logging.ERROR)
    node = {"include_dashboard": False, "object_store_memory": 200 * MEGABYTE, "memory": 2_000 * MEGABYTE}
    nodes = Nodes(
        initialize_head=True, head_node_args={"num_cpus": 0, "node_ip_address": "127.0.0.2", **node}
    )
    try:
        for worker in range(n_workers):
            nodes.add_node(num_cpus=1, node_ip_address=f"127.0.0.{3 + worker}", **node)
        cluster = Cluster(nodes.address, folder, WORKER_MEGABYTES * MEGABYTE)
        with connected(cluster, []) as workers:
            assert isinstance(workers, RayWorkers)
            yield workers
    finally:
        nodes.shutdown()


def iteration(ratings: sparse.csr_matrix, workers: Workers) -> tuple[Spent, np.ndarray]:
    """Half the difference between three iterations and one, and the item factors of three."""

    def fit(iterations: int) -> np.ndarray:
        rng = np.random.default_rng(0)
        scales = {"regularization": 0.01, "alpha0": 0.4}
        return ials.fit(
            ratings, factors=FACTORS, iterations=iterations, rng=rng, workers=workers,
            regularization=scales["regularization"], alpha0=scales["alpha0"],
        )[1]  # fmt: skip

    fit(1)  # compiles, and starts the workers
    first = spent(lambda: fit(1), workers)
    factors: list[np.ndarray] = []
    third = spent(lambda: factors.append(fit(3)), workers)
    each = [(after - before) / 2 for before, after in zip(first, third, strict=True)]
    return Spent(*each), factors[0]


def spent(work: Callable[[], object], workers: Workers) -> Spent:
    def now() -> Spent:
        usage = workers.usage if isinstance(workers, RayWorkers) else None
        of_workers = (
            (0.0, 0, 0, 0) if usage is None else (usage.seconds, usage.sent, usage.received, usage.read)
        )
        return Spent(time.perf_counter(), time.process_time(), *of_workers)

    began = now()
    work()
    return Spent(*(after - before for before, after in zip(began, now(), strict=True)))


def apart(factors: np.ndarray, others: np.ndarray) -> float:
    """The largest difference, relative to the largest factor."""
    return float(np.abs(factors - others).max() / np.abs(factors).max())


def compared(n: int, one: Spent, many: Spent, difference: float) -> Iterator[Figure]:
    yield Figure(f"one process of {n} threads, iteration", one.wall, "s")
    yield Figure(f"one process of {n} threads, processor time of an iteration", one.command, "s")
    yield Figure(f"{n} workers, iteration", many.wall, "s")
    yield Figure(f"{n} workers, processor time of an iteration in the workers", many.workers, "s")
    yield Figure(f"{n} workers, processor time of an iteration in the command", many.command, "s")
    yield Figure(f"{n} workers, sent in an iteration", many.sent / MEGABYTE, "MiB")
    yield Figure(f"{n} workers, received in an iteration", many.received / MEGABYTE, "MiB")
    yield Figure(f"{n} workers, read from shards in an iteration", many.read / MEGABYTE, "MiB")
    yield Figure(f"{n} workers, largest difference of a factor", difference, "", TOLERANCE, at_most=True)


def small_model() -> tuple[Hybrid, Histories]:
    """A model of random ratings, and histories of more users."""
    rng = np.random.default_rng(0)

    def drawn(n_users: int) -> Interactions:
        users = np.repeat(np.arange(n_users), 40)
        share = 1 / (20 + np.arange(N_MOVIES)) ** 0.9
        movies = rng.choice(N_MOVIES, users.size, p=share / share.sum())
        stars = rng.integers(1, 11, users.size) / 2
        return Interactions.from_arrays(users, movies, stars, catalog=np.arange(N_MOVIES))

    items = ItemFeatures.blank(np.arange(N_MOVIES))
    model = train_hybrid(drawn(N_USERS), items, Config(iterations=3))
    ratings = drawn(N_LISTS)
    return model, Histories(ratings.user_ids, ratings, 0)


def lists_figure(
    key: str, model: Hybrid, histories: Histories, folder: Path, workers: Workers | None, jobs: int = 1
) -> Figure:
    """Lists a second, after a first run in which workers load the model."""
    options = lists.ListOptions(K)
    seconds = 0.0
    for _ in range(2 if workers else 1):
        began = time.perf_counter()
        lists.recommend(
            model, folder / "model", histories, folder / "lists.parquet", options,
            lambda _stage, _fraction: None, jobs=jobs, workers=workers,
        )  # fmt: skip
        seconds = time.perf_counter() - began
    return Figure(f"{key}, lists a second", N_LISTS / seconds)


def page(n_ratings: int, data: str, figures: list[Figure]) -> str:
    """A page with the figures and their origin."""
    load = os.getloadavg()[2]
    rows = [f"| {figure.key} | {figure.value:,.4g} {figure.unit} |" for figure in figures]
    return "\n".join(
        [
            "# Cluster", "",
            "Iterations of iALS and lists by a Ray cluster, against one process.", "",
            "```sh", f"python -m bench.cluster --ratings {n_ratings} --page docs/bench/cluster.md", "```", "",
            f"Data: {data}. {hardware()}; mean load in 15 minutes {load:.1f}. Commit {commit()}.", "",
            "If the load is above the number of cores, others used the cores too: the wall times, and so the",
            "lists a second, are then no evidence, and processor times can be compared. A speed-up can be",
            "shown for at most as many workers as there are cores, and one machine waits for no network.",
            "Lists of processes include the start of the processes; those of workers do not.",
            "", "| | |", "|---|--:|", *rows, "",
        ]
    )  # fmt: skip


if __name__ == "__main__":
    main()
