"""Measure batch recommendation on one core: lists for 10,000 users over 60,000 movies, from file to file.

    python -m bench.batch_lists [--quick] [--json FILE]

Ratings are random with a long-tailed popularity; their values do not affect the time. `--quick` trains on
fewer users.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from bench.figures import ROOT, Figure, write

N_MOVIES, N_USERS, N_LISTS = 60_000, 20_000, 10_000
QUICK_USERS = 4_000
K = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="train on fewer users")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    figures = measure(QUICK_USERS if options.quick else N_USERS)
    for figure in figures:
        print(f"{figure.key}: {figure.value:.1f} {figure.unit}")  # noqa: T201 - it is a command
    if options.json:
        write(options.json, f"{N_LISTS} random users, {N_MOVIES} movies", figures)


def measure(n_users: int) -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rng = np.random.default_rng(0)
        draw(folder / "ratings.parquet", n_users, rng)
        draw(folder / "histories.parquet", N_LISTS, rng)
        started = time.perf_counter()
        marquee("train", "--data", folder / "ratings.parquet", "--out", folder / "model")
        figures = [Figure(f"training with {n_users} users", time.perf_counter() - started, "s")]
        for diversity in (0.0, 0.2):
            started = time.perf_counter()
            marquee(
                "recommend", "--model", folder / "model", "--histories", folder / "histories.parquet",
                "--k", K, "--diversity", diversity, "--out", folder / "lists.parquet", one_core=True,
            )  # fmt: skip
            seconds = time.perf_counter() - started
            assert parquet.read_metadata(folder / "lists.parquet").num_rows == K * N_LISTS
            key = f"{N_LISTS} lists of {K}, diversity {diversity:g}"
            figures.append(Figure(key, seconds, "s", target=60.0, at_most=True))
    return figures


def draw(path: Path, n_users: int, rng: np.random.Generator) -> None:
    """Write random ratings to a Parquet file: about 90 per user on average, and at least one per movie."""
    share = 1 / (20 + np.arange(N_MOVIES)) ** 0.9
    lengths = np.clip(rng.lognormal(4.2, 0.8, n_users), 20, 1_500).astype(np.int64)
    users = np.concatenate((np.repeat(np.arange(n_users), lengths), rng.integers(0, n_users, N_MOVIES)))
    sampled = np.searchsorted(np.cumsum(share / share.sum()), rng.random(lengths.sum()))
    movies = np.concatenate((np.minimum(sampled, N_MOVIES - 1), np.arange(N_MOVIES)))
    columns = {
        "user_id": users,
        "movie_id": movies,
        "rating": rng.integers(1, 11, users.size) / 2,
        "timestamp": rng.integers(900_000_000, 1_000_000_000, users.size),
    }
    parquet.write_table(pa.table(columns), path)


def marquee(*arguments: object, one_core: bool = False) -> None:
    pinned = "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})" if one_core else "pass"
    program = f"import os; {pinned}; from app.cli.commands import main; main()"
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", program, *(str(argument) for argument in arguments)]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)  # noqa: S603


if __name__ == "__main__":
    main()
