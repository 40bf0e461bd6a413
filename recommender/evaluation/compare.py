"""Compare our model with tuned baselines on one protocol, over the same users and items.

Our model is fitted with the settings passed in. Each baseline chooses its settings from a small grid on a
validation split of the training set, never on the test split, and is then refitted on the whole training set.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from recommender.evaluation import baseline_settings, protocols
from recommender.evaluation.baseline_settings import Settings
from recommender.evaluation.entrants import OURS, Entrants, FittedEntrants, fit, predictors_of, rankers_of
from recommender.evaluation.pooling import Evaluation, Measured, PerUser, pooled, users_of
from recommender.evaluation.protocols import DRAWN, Protocol, Trial
from recommender.evaluation.ranking import Ranker, measure
from recommender.interactions import Interactions
from recommender.item_features import ItemFeatures
from recommender.progress import Progress

KS = (10, 20, 50, 100)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of the trials with one label, of all seeds together.

    settings and seconds: of the last fit of each model, by name. users: the figures of our model by user.
    """

    label: str
    evaluation: Evaluation
    settings: dict[str, Settings]
    seconds: dict[str, float]
    users: PerUser


@dataclass(slots=True)
class _Label:
    """The measurements of the trials with one label; settings and seconds are those of the last fit."""

    compared: list[str] = field(default_factory=list)
    settings: dict[str, Settings] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    parts: list[Measured] = field(default_factory=list)


def compare(
    protocol: Protocol,
    interactions: Interactions,
    items: ItemFeatures,
    entrants: Entrants,
    *,
    seeds: Sequence[int] = (0,),
    max_users: int | None = None,
    progress: Progress = lambda _stage, _fraction: None,
) -> list[Outcome]:
    """Run the trials of the protocol with each seed, and pool those with the same label.

    items describes interactions.item_ids one by one. max_users: of each trial. The settings of the baselines
    are chosen once for each seed, for its first trial. Raises ValueError for too few ratings for the
    protocol, and for several seeds if its test set does not depend on the seed.
    """
    if len(seeds) > 1 and protocol not in DRAWN:
        raise ValueError(
            f"the test set of the protocol {protocol.value} is the same for each seed: leave --seeds out, or "
            f"choose one of the protocols {', '.join(DRAWN)}"
        )
    found: dict[str, _Label] = {}
    for number, seed in enumerate(seeds, 1):
        of_seed = progress if len(seeds) == 1 else _numbered(progress, f"seed {number} of {len(seeds)}")
        for trial, models in _fitted(protocol, interactions, items, entrants, seed, of_seed):
            rankers = rankers_of(models, trial, protocol, entrants.diversities)
            label = found.setdefault(trial.label, _Label())
            label.compared, label.settings, label.seconds = list(rankers), models.settings, models.seconds
            label.parts.append(_measured(trial, models, rankers, seed, max_users, of_seed))
    return [_outcome(name, label, seeds[0]) for name, label in found.items()]


def _measured(
    trial: Trial,
    models: FittedEntrants,
    rankers: Mapping[str, Ranker],
    seed: int,
    max_users: int | None,
    progress: Progress,
) -> Measured:
    return measure(
        trial.split,
        rankers,
        predictors_of(models),
        vectors=models.ours.content_vectors,
        match=models.ours.predict,
        rng=np.random.default_rng(seed + 2),
        ks=KS,
        allowed=trial.allowed,
        max_users=max_users,
        progress=progress,
    )


def _numbered(progress: Progress, prefix: str) -> Progress:
    return lambda stage, fraction: progress(f"{prefix}: {stage}", fraction)


def _outcome(name: str, label: _Label, seed: int) -> Outcome:
    return Outcome(
        name,
        pooled(label.parts, label.compared, seed + 2),
        label.settings,
        label.seconds,
        users_of(label.parts, OURS),
    )


def _fitted(
    protocol: Protocol,
    interactions: Interactions,
    items: ItemFeatures,
    entrants: Entrants,
    seed: int,
    progress: Progress,
) -> Iterator[tuple[Trial, FittedEntrants]]:
    """The trials of a seed, each with the models fitted on its training set."""
    with_lists = protocol is not Protocol.RATING
    settings: dict[str, Settings] | None = None
    last: tuple[Interactions, FittedEntrants] | None = None
    for trial in protocols.trials(protocol, interactions, np.random.default_rng(seed)):
        train = trial.split.train
        if settings is None:
            inner = protocols.validation(protocol, train, np.random.default_rng(seed + 1))
            settings = baseline_settings.choose(entrants.baselines if with_lists else {}, inner, progress)
        if last is None or last[0] is not train:
            last = train, fit(train, items, entrants, settings, with_lists=with_lists, progress=progress)
        yield trial, last[1]
