"""The models of a comparison, and their fit on one training set."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from recommender.evaluation.baseline_settings import BASELINES, Baseline, Settings
from recommender.evaluation.baselines import Scores, damped_means, ranker
from recommender.evaluation.predictions import Predictor
from recommender.evaluation.protocols import Protocol, Trial
from recommender.evaluation.ranking import Ranker
from recommender.interactions import History, Interactions
from recommender.item_features import ItemFeatures
from recommender.model.hybrid import Hybrid
from recommender.model.nearest import top
from recommender.progress import Progress
from recommender.scorers.arm import standardized
from recommender.scorers.likes import liked
from recommender.scorers.part import Part
from recommender.training.config import Config
from recommender.training.fit_part import FITS
from recommender.training.train import train_hybrid
from recommender.training.train_arm import train_model

OURS, PREVIOUS = "marquee", "previous"


@dataclass(frozen=True, slots=True)
class Previous:
    """A model of an earlier training, which is fitted again on the training set: its kind and settings."""

    kind: str
    config: Config


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrants:
    """The models of a comparison.

    config: the settings of our model, which is also evaluated with each of the `diversities`. arms: further
    kinds of models, as they are served. predictors: fit functions of rating predictors. previous: also fitted
    and evaluated, as PREVIOUS.
    """

    config: Config = field(default_factory=Config)
    diversities: Sequence[float] = ()
    baselines: Mapping[str, Baseline] = field(default_factory=lambda: BASELINES)
    arms: Sequence[str] = ()
    predictors: Mapping[str, Callable[[Interactions], Predictor]] = field(
        default_factory=lambda: {"damped means": damped_means}
    )
    previous: Previous | None = None


@dataclass(slots=True)
class FittedEntrants:
    """The models fitted on one training set. settings and seconds: of each model, by name."""

    ours: Hybrid
    previous: Hybrid | None = None
    others: dict[str, Scores] = field(default_factory=dict)
    arms: dict[str, Part] = field(default_factory=dict)
    predictors: dict[str, Predictor] = field(default_factory=dict)
    settings: dict[str, Settings] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, name: str, progress: Progress) -> Iterator[None]:
        """Add the seconds of a fit."""
        progress(f"fitting {name}", 0.0)
        started = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - started


def fit(
    train: Interactions,
    items: ItemFeatures,
    entrants: Entrants,
    settings: Mapping[str, Settings],
    *,
    with_lists: bool,
    progress: Progress,
) -> FittedEntrants:
    """Fit all models. `settings`: of each baseline. Without lists, only what predicts stars is fitted."""
    started = time.perf_counter()
    fitted = FittedEntrants(train_hybrid(train, items, entrants.config, progress))
    fitted.seconds[OURS] = time.perf_counter() - started
    if (previous := entrants.previous) is not None:
        with fitted.timed(PREVIOUS, progress):
            fitted.previous = train_model(previous.kind, train, items, previous.config, progress)
    for name, predictor in entrants.predictors.items():
        fitted.predictors[name] = predictor(train)
    if not with_lists:
        return fitted
    for name, baseline in entrants.baselines.items():
        with fitted.timed(name, progress):
            fitted.others[name] = baseline.fit(train, **settings[name])
        fitted.settings[name] = settings[name]
    for kind in entrants.arms:
        with fitted.timed(f"{kind} arm", progress):
            fitted.arms[kind] = FITS[kind](train, fitted.ours.content_vectors)
    return fitted


def rankers_of(
    models: FittedEntrants, trial: Trial, protocol: Protocol, diversities: Sequence[float]
) -> dict[str, Ranker]:
    """The lists of all models on a trial; none if the protocol is about stars only."""
    if protocol is Protocol.RATING:
        return {}
    ours, train, allowed = models.ours, trial.split.train, trial.allowed
    rankers = {OURS: _lists_of(ours, allowed)}
    rankers |= {f"{OURS}, diversity {one:g}": _lists_of(ours, allowed, one) for one in diversities}
    if models.previous is not None:
        rankers[PREVIOUS] = _lists_of(models.previous, allowed)
    for name, scores in models.others.items():
        rankers[name] = ranker(train, scores, allowed)
    for kind, part in models.arms.items():
        rankers[f"{kind} arm"] = _arm_ranker(part, ours.popularity, allowed)
    if protocol is Protocol.NEW_ITEM:
        rankers["content profile"] = ranker(train, _profile(ours.content_vectors), allowed)
    return rankers


def predictors_of(models: FittedEntrants) -> dict[str, Predictor]:
    """The predictors of stars, by name."""
    previous = {} if models.previous is None else {PREVIOUS: models.previous.predict}
    return {OURS: models.ours.predict, **previous, **models.predictors}


def _lists_of(model: Hybrid, allowed: NDArray[np.bool_] | None, diversity: float = 0.0) -> Ranker:
    def rank(history: History, k: int) -> NDArray[np.int32]:
        return model.recommend(history, k=k, allowed=allowed, diversity=diversity).item_idx

    return rank


def _arm_ranker(part: Part, popularity: NDArray[np.float32], allowed: NDArray[np.bool_] | None) -> Ranker:
    """The lists of an arm with this part."""

    def rank(history: History, k: int) -> NDArray[np.int32]:
        scores = standardized(part.scores(history), popularity)
        scores[history.item_idx] = -np.inf
        if allowed is not None:
            scores[~allowed] = -np.inf
        return top(scores, k)

    return rank


def _profile(vectors: NDArray[np.float32]) -> Scores:
    """Score items by the cosine of their content to the mean content of the liked items."""

    def scores(history: History) -> NDArray[np.float32]:
        return np.asarray(vectors @ vectors[liked(history)].sum(axis=0), np.float32)

    return scores
