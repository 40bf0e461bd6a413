"""Compare the processor time of an iALS iteration with that of implicit (extra `peers`).

    OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 python -m bench.ials_epoch [--ratings N] [--json FILE]

Ten million random ratings of 70,000 users and 10,700 movies with a long tail, 64 factors, one thread.
implicit runs with three steps of conjugate gradients (its default) and with exact solves (`use_cg=False`);
ours solves exactly. The figure is half the difference between three iterations and one: no set-up time.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
from scipy import sparse

from bench.figures import Figure, write
from recommender.training import ials

N_RATINGS, N_USERS, N_MOVIES = 10_000_000, 70_000, 10_700
FACTORS = 64
TARGET = 0.95  # our time over implicit's, at most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--ratings", type=int, default=N_RATINGS, help="number of ratings; fewer for a quick run"
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    figures = measure(random_ratings(options.ratings))
    for figure in figures:
        print(f"{figure.key}: {figure.value:.2f} {figure.unit}")  # noqa: T201 - it is a command
    if options.json:
        write(options.json, f"{options.ratings} random ratings", figures)


def random_ratings(n_ratings: int) -> sparse.csr_matrix:
    rng = np.random.default_rng(0)
    share = 1 / (20 + np.arange(N_MOVIES)) ** 0.9
    movies = np.searchsorted(np.cumsum(share / share.sum()), rng.random(n_ratings)).clip(0, N_MOVIES - 1)
    activity = rng.lognormal(0, 1, N_USERS)
    users = np.searchsorted(np.cumsum(activity / activity.sum()), rng.random(n_ratings)).clip(0, N_USERS - 1)
    ones = np.ones(n_ratings, np.float32)
    ratings = sparse.csr_matrix((ones, (users, movies)), shape=(N_USERS, N_MOVIES))
    ratings.data[:] = rng.random(ratings.nnz)
    return ratings


def measure(ratings: sparse.csr_matrix) -> list[Figure]:
    from implicit.cpu.als import AlternatingLeastSquares  # noqa: PLC0415 - an extra

    numba.set_num_threads(1)

    def ours(iterations: int) -> None:
        rng = np.random.default_rng(0)
        ials.fit(ratings, factors=FACTORS, iterations=iterations, rng=rng, regularization=0.01, alpha0=0.4)

    def implicit(iterations: int, *, use_cg: bool) -> None:
        AlternatingLeastSquares(
            factors=FACTORS, iterations=iterations, num_threads=1, use_cg=use_cg, random_state=0
        ).fit(ratings, show_progress=False)

    ours(1)  # compiles with numba unless cached
    exact_ours = per_iteration(ours)
    gradients = per_iteration(lambda iterations: implicit(iterations, use_cg=True))
    exact = per_iteration(lambda iterations: implicit(iterations, use_cg=False))
    return [
        Figure(f"an iteration over {ratings.nnz} ratings, ours", exact_ours, "s"),
        Figure("implicit's, conjugate gradients", gradients, "s"),
        Figure("implicit's, exact", exact, "s"),
        Figure(
            "ours over implicit's conjugate gradients", exact_ours / gradients, target=TARGET, at_most=True
        ),
        Figure("ours over implicit's exact", exact_ours / exact, target=TARGET, at_most=True),
    ]


def per_iteration(fit: Callable[[int], None]) -> float:
    """Processor seconds."""
    spent = []
    for iterations in (1, 3):
        started = time.process_time()
        fit(iterations)
        spent.append(time.process_time() - started)
    return (spent[1] - spent[0]) / 2


if __name__ == "__main__":
    main()
