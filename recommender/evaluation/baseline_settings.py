"""The baselines to compare with, each with its best settings from a small grid.

Settings are chosen on a validation split of the training set, never on the test split.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from recommender import metrics
from recommender.evaluation.baselines import Scores, ease, ials, item_knn, pure_svd, ranker
from recommender.evaluation.predictions import users_with
from recommender.evaluation.ranking import Ranker, rank_all
from recommender.metrics import RELEVANT_STARS
from recommender.progress import Progress
from recommender.scorers.likes import liked
from recommender.splits import Split

CHOSEN_BY = 10  # settings are chosen by NDCG at this length
MAX_CHOOSING = 1_000  # users

Settings = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Baseline:
    """A model to compare with: fit(train, **settings) -> Scores, and the grid of its settings.

    The names of settings appear in reports.
    """

    fit: Callable[..., Scores]
    grid: tuple[Settings, ...]


BASELINES: Mapping[str, Baseline] = {
    "item-knn": Baseline(item_knn, tuple({"neighbours": n} for n in (20, 50, 100, 200))),
    "pure-svd": Baseline(pure_svd, tuple({"factors": n} for n in (16, 32, 64, 128))),
    "ease": Baseline(ease, tuple({"regularization": r} for r in (30.0, 100.0, 300.0, 1000.0))),
    "ials": Baseline(
        ials,
        tuple({"regularization": r, "alpha0": a} for r in (0.001, 0.003, 0.01, 0.03) for a in (0.1, 0.4)),
    ),
}


def choose(baselines: Mapping[str, Baseline], validation: Split, progress: Progress) -> dict[str, Settings]:
    """The chosen settings of each baseline."""
    return {
        name: chosen(baseline, validation, partial(progress, f"choosing {name}"))
        for name, baseline in baselines.items()
    }


def chosen(
    baseline: Baseline, validation: Split, progress: Callable[[float], None] = lambda _fraction: None
) -> Settings:
    """Return the settings of the grid with the best NDCG@10 on the validation split; the first of ties."""
    if len(baseline.grid) == 1:
        return baseline.grid[0]
    reached: list[float] = []
    for settings in baseline.grid:
        progress(len(reached) / len(baseline.grid))
        scores = baseline.fit(validation.train, **settings)
        reached.append(mean_ndcg(validation, ranker(validation.train, scores)))
    return baseline.grid[int(np.argmax(reached))]


def mean_ndcg(split: Split, rank: Ranker, k: int = CHOSEN_BY) -> float:
    """Mean NDCG@k over at most MAX_CHOOSING users with a liked item held out; nan without such users."""
    users = users_with(split.held_out, RELEVANT_STARS, MAX_CHOOSING, np.random.default_rng(0))
    lists = rank_all(split, rank, users, k)
    hits, n_relevant = np.zeros(lists.shape, bool), np.zeros(len(users), np.int64)
    for row, user in enumerate(users):
        relevant = liked(split.held_out.history(int(user)))
        hits[row], n_relevant[row] = np.isin(lists[row], relevant), len(relevant)
    return float(metrics.ndcg(hits, n_relevant, k).mean()) if len(users) else float("nan")
