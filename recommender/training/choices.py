"""Choose the targets of stars, the noise of the prior and the weights of the parts on held-out users."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recommender import metrics, splits
from recommender.interactions import Interactions
from recommender.metrics import Estimate
from recommender.model.blend import FACTORS, ITEMS, KNOTS, POPULARITY, TRANSITIONS, Blend
from recommender.model.fold_in import GRADES, NOISE
from recommender.model.popularity import popularity
from recommender.model.transitions import ItemTransitions
from recommender.progress import Progress
from recommender.splits import users_of
from recommender.training import held_out
from recommender.training.blocks import IN_PROCESS, Workers
from recommender.training.checkpoint import NOTHING_KEPT, Checkpoint
from recommender.training.config import Config
from recommender.training.fit_parts import fit_factors, fit_items
from recommender.training.held_out import DEPTH, Drawn, Example

Floats = npt.NDArray[np.float32]
Figures = npt.NDArray[np.float64]

# Weights at each length of KNOTS, used unless others are clearly better on the held-out users. Chosen on
# validation splits of several data sets: docs/recommender.md.
USUAL = {
    FACTORS: (1.0,) * 7,
    ITEMS: (0.1, 0.2, 0.22, 0.22, 0.4, 0.8, 1.4),
    TRANSITIONS: (0.1, 0.15, 0.12, 0.1, 0.15, 0.2, 0.2),
    POPULARITY: (0.0,) * 7,
}
PART_NAMES = ("factors", "items", "succession", "popularity")
N_PARTS = len(PART_NAMES)
USUAL_WEIGHTS = np.array([USUAL[part] for part in range(N_PARTS)], np.float32).T
ITEM_SCALES = (0.0, 0.5, 2.0, 4.0, 1.0)  # factors of the usual weights of items; the last one keeps them
POPULARITY_WEIGHTS = (0.3, 1.0, 0.0)
LEAST = 0.01  # weight of the factors: only they rank items with few ratings
NOISES = (0.01, 0.02, NOISE)  # the last one stays unless another is better
GRADE_SETS = (np.array([0.2, 0.2, 0.4, 0.7, 0.95, 1.1], np.float32), GRADES)  # of 0 to 5 stars; so here
# Standard errors by which any other choice must be better, both on whole histories and on short parts of
# longer ones; for the noise, which has two other candidates, SLIGHT. With two standard errors on both
# together, one of a dozen candidates was often taken by chance, at a loss: docs/recommender.md.
CLEAR, SLIGHT = 2.5, 1.0
# Then factors of the weights of items and transitions, for histories of the first SHORT knots and for longer
# ones. The gain on random and on next items decides, minus LIKELY standard errors.
SCALES = tuple((items, order) for items in (1.0, 0.5, 2.0) for order in (1.0, 0.0, 0.5, 1.5, 2.0, 3.0))
SHORT = 3
LIKELY = 1.0
MIN_GROUP = 20  # users with examples of one kind
MIN_EXAMPLES = 60


@dataclass(frozen=True, slots=True)
class Choices:
    """grades, noise: of the `FactorModel`. weights: float32 (n_knots, N_PARTS). figures: by part and knot."""

    grades: Floats = field(default_factory=GRADES.copy)
    noise: float = NOISE
    weights: Floats = field(default_factory=USUAL_WEIGHTS.copy)
    figures: dict[str, Estimate] = field(default_factory=dict)


class _Setup(NamedTuple):
    content: Floats
    config: Config
    progress: Progress
    checkpoint: Checkpoint
    workers: Workers


def choose(
    interactions: Interactions,
    content: Floats,
    config: Config,
    rng: np.random.Generator,
    progress: Progress,
    checkpoint: Checkpoint = NOTHING_KEPT,
    workers: Workers = IN_PROCESS,
) -> Choices:
    """Fit the parts without some users, and choose what ranks the liked items of these best."""
    held = held_out.users_to_hold_out(interactions, rng)
    if not len(held):
        return Choices()
    train = users_of(interactions, np.setdiff1d(np.arange(interactions.n_users), held))
    drawn = list(held_out.drawn(interactions, held, rng))
    transitions = ItemTransitions.fit(train, rng=rng)  # for all targets: they hardly change it
    setup = _Setup(content, config, progress, checkpoint, workers)
    scored = [_scored(train, drawn, grades, transitions, setup, rng) for grades in GRADE_SETS]
    best, noise = _best_setting(scored)
    grades = GRADE_SETS[best]
    # Drawn apart, so that the fits that follow are the same with and without them.
    later = _next_examples(interactions, grades, setup, rng.spawn(1)[0])
    weights, figures = weigh(scored[best], later, noise)
    return Choices(grades, NOISES[noise], weights, figures)


def _best_setting(scored: list[list[Example]]) -> tuple[int, int]:
    """The set of targets, then the noise, as indices, that reach most with the usual weights.

    scored: the same examples for each set of targets.
    """
    usual = len(NOISES) - 1
    reached = np.stack([_at_usual(examples, usual) for examples in scored], axis=1)
    best = best_of(reached, scored[-1], CLEAR)
    by_noise = np.stack([_at_usual(scored[best], noise) for noise in range(len(NOISES))], axis=1)
    return best, best_of(by_noise, scored[best], SLIGHT)


def _at_usual(examples: list[Example], noise: int) -> Figures:
    return np.array([example.ndcg(noise, USUAL_WEIGHTS[example.knot][None])[0] for example in examples])


def _scored(
    train: Interactions,
    drawn: list[Drawn],
    grades: Floats,
    transitions: ItemTransitions,
    setup: _Setup,
    rng: np.random.Generator,
) -> list[Example]:
    """Fit the parts with these targets, and score the examples."""
    content, config, progress, checkpoint, workers = setup
    # A third of the iterations is enough to compare the parts.
    shorter = replace(config, iterations=max(1, config.iterations // 3))
    fitting = partial(progress, "weighing: factors")
    factor_model, *_ = fit_factors(train, content, shorter, rng, fitting, checkpoint, workers, grades=grades)
    items = fit_items(train, content, config, rng, grades=grades)
    popular = popularity(train, np.full(train.n_items, np.nan, np.float32))
    noisy = [
        Blend(replace(factor_model, noise=noise), items, transitions, popular, USUAL_WEIGHTS)
        for noise in NOISES
    ]
    progress("weighing: users", 0.0)
    return [held_out.example(noisy, one) for one in drawn]


def _next_examples(
    interactions: Interactions, grades: Floats, setup: _Setup, rng: np.random.Generator
) -> list[Example]:
    """Fit the parts to the earlier ratings of all users, and score later ones; none without times.

    Users held out whole do not show what the order of a history is worth: the parts are fitted to what all
    others rated at the same time and later, and know what is watched now.
    """
    if not interactions.timestamps.any():
        return []
    split = splits.temporal_per_user(interactions, rng=rng)
    drawn = list(held_out.next_items(split, rng))
    if len(drawn) < MIN_EXAMPLES:
        return []
    transitions = ItemTransitions.fit(split.train, rng=rng)
    return _scored(split.train, drawn, grades, transitions, setup, rng)


def weigh(examples: list[Example], later: list[Example], noise: int) -> tuple[Floats, dict[str, Estimate]]:
    """Choose the weights, and measure them.

    later: examples of the next items. Without them the choice is for all lengths of history together.
    """
    weights = USUAL_WEIGHTS
    if len(examples) >= MIN_EXAMPLES:
        candidates = mixtures(weights)  # (n_candidates, n_knots, N_PARTS)
        weights = candidates[best_of(_reached(examples, noise, candidates), examples, CLEAR)]
        if len(later) >= MIN_EXAMPLES:
            weights = _scaled(weights, examples, later, noise)
    return weights.copy(), _figures(examples, noise, weights)


def _reached(examples: list[Example], noise: int, candidates: Floats) -> Figures:
    return np.array([example.ndcg(noise, candidates[:, example.knot]) for example in examples])


def _scaled(weights: Floats, examples: list[Example], later: list[Example], noise: int) -> Floats:
    """The weights with the SCALES that are likely to be better, for short and for long histories.

    Random and next items count equally: lists are made for both, and the order of a history says much about
    the latter and nothing about the former. Next items after a long history are those of `later`. There are
    few of these after a short one, so that next items of users held out count half.
    """
    candidates: Floats = np.tile(weights, (len(SCALES), 1, 1))
    candidates[:, :, [ITEMS, TRANSITIONS]] *= np.array(SCALES, np.float32)[:, None]
    of_short = (
        (1.0, [one for one in examples if one.random and one.knot < SHORT]),
        (0.5, [one for one in examples if not one.random and one.knot < SHORT]),
        (0.5, [one for one in later if one.knot < SHORT]),
    )
    of_long = (
        (1.0, [one for one in examples if one.own and one.random and one.knot >= SHORT]),
        (1.0, [one for one in later if one.knot >= SHORT]),
    )
    chosen = weights.copy()
    for knots, kinds in ((slice(SHORT), of_short), (slice(SHORT, None), of_long)):
        chosen[knots] = candidates[_likeliest(kinds, noise, candidates), knots]
    return chosen


def _has_group(examples: list[Example]) -> bool:
    return len({one.user for one in examples}) >= MIN_GROUP


def _likeliest(kinds: Sequence[tuple[float, list[Example]]], noise: int, candidates: Floats) -> int:
    """The candidate with the largest lower bound of its gains; the first one unless another's is above 0.

    kinds: the share of each kind of examples in the gain, and the examples; random items first. Kinds of less
    than MIN_GROUP users are left out; without random or without next items the first candidate wins.
    """
    random, *of_next = kinds
    of_next = [kind for kind in of_next if _has_group(kind[1])]
    if not of_next or not _has_group(random[1]):
        return 0
    gain, variance = np.zeros(len(candidates)), np.zeros(len(candidates))
    for share, examples in (random, *of_next):
        users = np.array([one.user for one in examples])
        reached = _reached(examples, noise, candidates)
        mean, error = _over_users(reached - reached[:, :1], users)
        gain, variance = gain + share * mean, variance + (share * error) ** 2
    return int((gain - LIKELY * np.sqrt(variance)).argmax())


def mixtures(weights: Floats) -> Floats:
    """Each part alone, then other weights of items and popularity: (n_candidates, n_knots, N_PARTS).

    The given weights are the last candidate.
    """
    alone = np.maximum(np.eye(N_PARTS), LEAST * np.eye(N_PARTS)[FACTORS])
    candidates = [np.tile(part, (len(weights), 1)) for part in alone]
    for scale in ITEM_SCALES:
        for popular in POPULARITY_WEIGHTS:
            mixed = weights.copy()
            mixed[:, ITEMS] *= scale
            mixed[:, POPULARITY] += popular
            candidates.append(mixed)
    return np.array(candidates, np.float32)


def _figures(examples: list[Example], noise: int, weights: Floats) -> dict[str, Estimate]:
    """NDCG of each part and of the blend at each length, on the examples of that knot and its neighbors.

    `ndcg@DEPTH` is of the blend on the examples of all those knots, each once.
    """
    rng = np.random.default_rng(0)
    figures: dict[str, Estimate] = {}
    own = []
    for knot, length in enumerate(KNOTS):
        near = [example for example in examples if abs(example.knot - knot) <= 1]
        if len(near) < MIN_EXAMPLES:
            continue
        compared = np.concatenate((np.eye(N_PARTS, dtype=np.float32), weights[knot][None]))
        reached = np.array([example.ndcg(noise, compared) for example in near])
        for column, name in enumerate((*PART_NAMES, "blend")):
            figures[f"ndcg@{DEPTH}_of_{name}_at_{int(length)}"] = metrics.bootstrap(reached[:, column], rng)
        own.append(reached[[example.knot == knot for example in near], -1])
    if sum(map(len, own)):
        figures[f"ndcg@{DEPTH}"] = metrics.bootstrap(np.concatenate(own), rng)
    return figures


def best_of(reached: Figures, examples: Sequence[Example], clear: float) -> int:
    """Choose a candidate: the last one, unless another is better by `clear` standard errors.

    reached: float64 (n_examples, n_candidates). It must be better both on own histories and on imitated ones,
    if there are MIN_GROUP users of each kind; users count equally. Of several clear ones, the one with the
    largest lower bound of its gains.
    """
    gains = reached - reached[:, -1:]
    users, own = np.array([example.user for example in examples]), np.array([e.own for e in examples])
    bounds: list[Figures] = []
    for kind in (own, ~own):
        if len(np.unique(users[kind])) >= MIN_GROUP:
            mean, error = _over_users(gains[kind], users[kind])
            bounds.append(mean - clear * error)
    last = int(gains.shape[1]) - 1
    if not bounds:
        return last
    bound: Figures = np.min(bounds, axis=0)
    best = int(bound[:last].argmax()) if last else last
    return best if float(bound[best]) > 0 else last


def _over_users(gains: Figures, users: npt.NDArray[np.int64]) -> tuple[Figures, Figures]:
    """Mean gains of candidates over users, who count equally, and their standard errors.

    gains: float64 (n_examples, n_candidates); users: int64 (n_examples,).
    """
    ids, place = np.unique(users, return_inverse=True)
    sums = np.zeros((len(ids), gains.shape[1]))
    np.add.at(sums, place, gains)
    per_user = sums / np.bincount(place)[:, None]
    return per_user.mean(axis=0), per_user.std(axis=0) / np.sqrt(len(ids))
