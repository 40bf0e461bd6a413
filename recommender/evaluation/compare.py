"""Compare our model with tuned baselines on one protocol, over the same users and items.

Our model is fitted with the settings passed in. Each baseline chooses its settings from a small grid on a
validation split of the training set, never on the test split, and is then refitted on the whole training set.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender import metrics
from recommender.evaluation import protocols
from recommender.evaluation.baselines import (
    Scores,
    damped_means,
    ease,
    ials,
    item_knn,
    pure_svd,
    ranker,
)
from recommender.evaluation.predictions import Predictor, users_with
from recommender.evaluation.protocols import Protocol, Trial
from recommender.evaluation.ranking import Evaluation, Ranker, evaluate, rank_all
from recommender.interactions import History, Interactions
from recommender.item_features import ItemFeatures
from recommender.metrics import RELEVANT_STARS
from recommender.model.hybrid import Hybrid
from recommender.model.nearest import top
from recommender.progress import Progress
from recommender.scorers.arm import standardized
from recommender.scorers.likes import liked
from recommender.scorers.part import Part
from recommender.splits import Split
from recommender.training.config import Config
from recommender.training.fit_part import FITS
from recommender.training.train import train_hybrid

OURS = "marquee"
KS = (10, 20, 50, 100)
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


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one trial. settings and seconds: of the last fit of each model, by name."""

    label: str
    evaluation: Evaluation
    settings: dict[str, Settings]
    seconds: dict[str, float]


@dataclass(slots=True)
class _Fitted:
    """The models fitted on one training set."""

    ours: Hybrid
    others: dict[str, Scores] = field(default_factory=dict)
    arms: dict[str, Part] = field(default_factory=dict)
    settings: dict[str, Settings] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def compare(
    protocol: Protocol,
    interactions: Interactions,
    items: ItemFeatures,
    *,
    config: Config,
    baselines: Mapping[str, Baseline] = BASELINES,
    predictors: Mapping[str, Callable[[Interactions], Predictor]] = {"damped means": damped_means},
    diversities: Sequence[float] = (),
    arms: Sequence[str] = (),
    max_users: int | None = None,
    seed: int = 0,
    progress: Progress = lambda _stage, _fraction: None,
) -> Iterator[Outcome]:
    """Run the trials of the protocol, yielding each outcome as it is done.

    items describes interactions.item_ids one by one. diversities: our model is also evaluated with these.
    arms: kinds of models that are also evaluated, as they are served. predictors: fit functions of rating
    predictors to compare with. The settings of the baselines are chosen
    once, for the first trial. Raises ValueError for too few ratings for the protocol.
    """
    fitted: tuple[Interactions, _Fitted] | None = None
    settings: dict[str, Settings] = {}
    for trial in protocols.trials(protocol, interactions, np.random.default_rng(seed)):
        train = trial.split.train
        if fitted is None or fitted[0] is not train:
            chosen = {} if protocol is Protocol.RATING else baselines
            if not fitted:
                inner = protocols.validation(protocol, train, np.random.default_rng(seed + 1))
                settings = _settings(chosen, inner, progress)
            fitted = train, _fit(train, items, config, chosen, settings, progress)
            _fit_arms(fitted[1], train, () if protocol is Protocol.RATING else arms, progress)
        models = fitted[1]
        yield Outcome(
            trial.label,
            evaluate(
                trial.split,
                {} if protocol is Protocol.RATING else _rankers(models, trial, protocol, diversities),
                {OURS: models.ours.predict} | {name: fit(train) for name, fit in predictors.items()},
                vectors=models.ours.content_vectors,
                match=models.ours.predict,
                rng=np.random.default_rng(seed + 2),
                ks=KS,
                allowed=trial.allowed,
                max_users=max_users,
                progress=progress,
            ),
            models.settings,
            models.seconds,
        )


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


def _settings(
    baselines: Mapping[str, Baseline], validation: Split, progress: Progress
) -> dict[str, Settings]:
    return {
        name: chosen(baseline, validation, partial(progress, f"choosing {name}"))
        for name, baseline in baselines.items()
    }


def _fit(
    train: Interactions,
    items: ItemFeatures,
    config: Config,
    baselines: Mapping[str, Baseline],
    settings: Mapping[str, Settings],
    progress: Progress,
) -> _Fitted:
    started = time.perf_counter()
    fitted = _Fitted(train_hybrid(train, items, config, progress))
    fitted.seconds[OURS] = time.perf_counter() - started
    for name, baseline in baselines.items():
        progress(f"fitting {name}", 0.0)
        started = time.perf_counter()
        fitted.others[name] = baseline.fit(train, **settings[name])
        fitted.seconds[name] = time.perf_counter() - started
        fitted.settings[name] = settings[name]
    return fitted


def _fit_arms(fitted: _Fitted, train: Interactions, arms: Sequence[str], progress: Progress) -> None:
    for kind in arms:
        progress(f"fitting {kind}", 0.0)
        started = time.perf_counter()
        fitted.arms[kind] = FITS[kind](train, fitted.ours.content_vectors)
        fitted.seconds[f"{kind} arm"] = time.perf_counter() - started


def _arm_ranker(part: Part, popularity: NDArray[np.float32], allowed: NDArray[np.bool_] | None) -> Ranker:
    """The lists of an arm with this part."""

    def rank(history: History, k: int) -> NDArray[np.int32]:
        scores = standardized(part.scores(history), popularity)
        scores[history.item_idx] = -np.inf
        if allowed is not None:
            scores[~allowed] = -np.inf
        return top(scores, k)

    return rank


def _rankers(
    models: _Fitted, trial: Trial, protocol: Protocol, diversities: Sequence[float]
) -> dict[str, Ranker]:
    ours, train, allowed = models.ours, trial.split.train, trial.allowed

    def with_diversity(diversity: float) -> Ranker:
        def rank(history: History, k: int) -> NDArray[np.int32]:
            return ours.recommend(history, k=k, allowed=allowed, diversity=diversity).item_idx

        return rank

    rankers = {OURS: with_diversity(0.0)}
    rankers |= {f"{OURS}, diversity {one:g}": with_diversity(one) for one in diversities}
    for name, scores in models.others.items():
        rankers[name] = ranker(train, scores, allowed)
    for kind, part in models.arms.items():
        rankers[f"{kind} arm"] = _arm_ranker(part, ours.popularity, allowed)
    if protocol is Protocol.NEW_ITEM:
        rankers["content profile"] = ranker(train, _profile(ours.content_vectors), allowed)
    return rankers


def _profile(vectors: NDArray[np.float32]) -> Scores:
    """Score items by the cosine of their content to the mean content of the liked items."""

    def scores(history: History) -> NDArray[np.float32]:
        return np.asarray(vectors @ vectors[liked(history)].sum(axis=0), np.float32)

    return scores
