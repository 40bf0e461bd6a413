"""Objective and search space of hyper-parameter tuning, on validation splits of training sets."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.evaluation import protocols
from recommender.evaluation.baseline_settings import mean_ndcg
from recommender.evaluation.protocols import Protocol
from recommender.evaluation.ranking import Ranker
from recommender.interactions import History, Interactions
from recommender.item_features import ItemFeatures
from recommender.model.blend import Blend
from recommender.model.content import ContentEncoder
from recommender.model.nearest import top
from recommender.model.popularity import popularity
from recommender.progress import Progress
from recommender.splits import Split
from recommender.training import fit_blend
from recommender.training.config import Config


@dataclass(frozen=True, slots=True)
class Range:
    """Values from `low` to `high`, integers if both bounds are; `log`: sampled on a log scale."""

    low: float
    high: float
    log: bool = True

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)


# Fields of Config. The range of regularization includes the values that `ials.regularization_for` estimates.
SPACE = {
    "factors": Range(16, 256),
    "regularization": Range(0.001, 0.05),
    "alpha0": Range(0.05, 1.5),
    "iterations": Range(5, 20, log=False),
    "item_ridge": Range(5.0, 1000.0),
    "item_dropout": Range(0.05, 0.7, log=False),
    "item_content": Range(1.0, 1000.0),
    "item_sittings": Range(0.03, 3.0),
}


@dataclass(frozen=True, slots=True)
class Task:
    """One data set: a validation split, and the inputs that do not depend on the settings."""

    split: Split
    content: NDArray[np.float32]
    popularity: NDArray[np.float32]


def task(protocol: Protocol, interactions: Interactions, items: ItemFeatures, *, seed: int) -> Task:
    """Make the validation split of the training set of the first trial of `compare.compare` with this seed.

    Raises ValueError for too few ratings for the protocol.
    """
    trial = next(iter(protocols.trials(protocol, interactions, np.random.default_rng(seed))))
    split = protocols.validation(protocol, trial.split.train, np.random.default_rng(seed + 1))
    rng = np.random.default_rng(seed)
    content = ContentEncoder.fit_transform(items, rng=rng)[1]
    return Task(split, content, popularity(split.train, items.vote_count))


def reached(
    tasks: Sequence[Task],
    config: Config,
    progress: Progress = lambda _stage, _fraction: None,
) -> list[float]:
    """Fit with `config` on each task and return the NDCG@10 of its lists, one value per task."""
    return [mean_ndcg(task.split, _ranker(_blend(task, config, progress))) for task in tasks]


def _blend(task: Task, config: Config, progress: Progress) -> Blend:
    rng = np.random.default_rng(config.seed)
    blend, *_ = fit_blend.fit(task.split.train, task.content, task.popularity, config, rng, progress)
    return blend


def _ranker(blend: Blend) -> Ranker:
    def rank(history: History, k: int) -> NDArray[np.int32]:
        scores = blend.scores(history)
        scores[history.item_idx] = -np.inf
        return top(scores, k)

    return rank
