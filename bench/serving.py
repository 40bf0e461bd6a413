"""Time one recommendation list among 60,000 movies on one core: fold-in, scores, ranking, diversification.

    OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 python -m bench.serving [--json FILE]

Ratings and movies are random with a long-tailed popularity; their values do not affect the time. The model is
read from disk, as in a service. Histories hold 30 movies, lists 24.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from pyarrow import parquet

from bench.batch_lists import N_MOVIES, draw
from bench.figures import Figure, write
from recommender.interactions import History, Interactions
from recommender.item_features import ItemFeatures
from recommender.model.hybrid import Hybrid
from recommender.training.choices import USUAL_WEIGHTS
from recommender.training.config import Config
from recommender.training.train import train_hybrid

N_USERS, N_LISTS = 4_000, 400
HISTORY, K = 30, 24
TARGET = 0.6  # ms, diversified


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as name:
        fitted(Path(name)).save(Path(name) / "model")
        figures = measure(Hybrid.load(Path(name) / "model"))
    for figure in figures:
        print(f"{figure.key}: {figure.value:.2f} {figure.unit}")  # noqa: T201 - it is a command
    if options.json:
        write(options.json, f"{N_USERS} random users, {N_MOVIES} movies", figures)


def fitted(folder: Path) -> Hybrid:
    rng = np.random.default_rng(0)
    draw(folder / "ratings.parquet", N_USERS, rng)
    columns = [column.to_numpy() for column in parquet.read_table(folder / "ratings.parquet").columns]
    _, first = np.unique(columns[0] * N_MOVIES + columns[1], return_index=True)
    users, items, stars, times = (column[first] for column in columns)
    interactions = Interactions.from_arrays(users, items, stars, times, catalog=np.arange(N_MOVIES))
    model = train_hybrid(interactions, movies(rng), Config(iterations=2))
    usual = USUAL_WEIGHTS  # all components have weight
    return replace(model, blend=replace(model.blend, weights=usual))


def movies(rng: np.random.Generator) -> ItemFeatures:
    """Random movies, each with two genres, one director, three actors and four keywords."""

    def names(kind: str, count: int, of: int) -> list[tuple[str, ...]]:
        return [tuple(f"{kind} {n}" for n in row) for row in rng.integers(0, of, (N_MOVIES, count)).tolist()]

    blank = ItemFeatures.blank(np.arange(N_MOVIES))
    features = {
        "genres": names("genre", 2, 18),
        "directors": names("director", 1, 20_000),
        "cast": names("actor", 3, 60_000),
        "keywords": names("keyword", 4, 8_000),
    }
    return ItemFeatures(**{name: getattr(blank, name) for name in ItemFeatures.__slots__} | features)


def measure(model: Hybrid) -> list[Figure]:
    rng = np.random.default_rng(1)
    rated = np.flatnonzero(model.blend.item_weights.position >= 0)
    histories = [
        History.of(
            np.sort(rng.choice(rated, HISTORY, replace=False)),
            rng.integers(1, 11, HISTORY) / 2,
            rng.permutation(HISTORY) + 900_000_000,
        )
        for _ in range(N_LISTS)
    ]
    allowed = np.ones(model.n_items, bool)
    one = np.float32(1)
    scores = np.zeros(model.n_items, np.float32)
    steps: dict[str, Callable[[History], object]] = {
        "fold-in": model.factor_model.user_factors,
        "scores by factors": lambda history: model.blend.by_factors(history, one),
        "item weights": lambda history: model.blend.add_by_items(scores, history, one),
        "succession": lambda history: model.blend.add_by_transitions(scores, history, one),
        "all scores": model.scores,
        f"a list of {K}": lambda history: model.recommend(history, k=K, allowed=allowed),
    }
    figures = [Figure(key, median_ms(step, histories), "ms") for key, step in steps.items()]
    diversified = median_ms(
        lambda history: model.recommend(history, k=K, allowed=allowed, diversity=0.2), histories
    )
    return [*figures, Figure(f"a diversified list of {K}", diversified, "ms", target=TARGET, at_most=True)]


def median_ms(step: Callable[[History], object], histories: list[History]) -> float:
    """Median milliseconds of a step over the histories."""
    seconds = []
    for history in histories:
        started = time.perf_counter()
        step(history)
        seconds.append(time.perf_counter() - started)
    return 1e3 * float(np.median(seconds))


if __name__ == "__main__":
    main()
