"""Choose the targets of stars, the noise of the prior and the weights of the parts on held-out users."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from recommender import metrics
from recommender.interactions import Interactions
from recommender.metrics import Estimate
from recommender.model.blend import FACTORS, ITEMS, KNOTS, POPULARITY, TRANSITIONS, Blend
from recommender.model.fold_in import GRADES, NOISE
from recommender.model.popularity import popularity
from recommender.model.transitions import ItemTransitions
from recommender.progress import Progress
from recommender.splits import users_of
from recommender.training import held_out
from recommender.training.checkpoint import NOTHING_KEPT, Checkpoint
from recommender.training.config import Config
from recommender.training.fit_parts import fit_factors, fit_items
from recommender.training.held_out import DEPTH, Drawn, Example

Floats = npt.NDArray[np.float32]
Figures = npt.NDArray[np.float64]

# Weights at each length of KNOTS, used unless others are clearly better on the held-out users. Chosen on
# validation splits of several data sets.
USUAL = {
    FACTORS: (1.0,) * 7,
    ITEMS: (0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.0),
    TRANSITIONS: (0.1, 0.1, 0.2, 0.3, 0.3, 0.3, 0.3),
    POPULARITY: (0.0,) * 7,
}
PART_NAMES = ("factors", "items", "succession", "popularity")
N_PARTS = len(PART_NAMES)
USUAL_WEIGHTS = np.array([USUAL[part] for part in range(N_PARTS)], np.float32).T
ITEM_WEIGHTS = (0.0, 0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.0, 3.0)
POPULARITY_WEIGHTS = (0.0, 0.3, 1.0, 3.0)
LEAST = 0.01  # weight of the factors: only they rank items with few ratings
# Each part alone, then all mixtures without transitions.
MIXTURES = [
    *np.maximum(np.eye(N_PARTS), LEAST * np.eye(N_PARTS)[FACTORS]),
    *((1.0, items, 0.0, popular) for items in ITEM_WEIGHTS for popular in POPULARITY_WEIGHTS),
]
TRANSITION_SCALES = (0.0, 0.5, 2.0, 3.0, 1.0)  # factors of the usual weights; the last one keeps them
NOISES = (0.01, 0.02, NOISE)  # the last one stays unless another is better
GRADE_SETS = (np.array([0.2, 0.2, 0.4, 0.7, 0.95, 1.1], np.float32), GRADES)  # of 0 to 5 stars; so here
CLEAR, SLIGHT = 2.0, 1.0  # standard errors by which other weights, and other settings, must be better
MIN_GROUP = 20  # users with examples of one kind
MIN_EXAMPLES = 60
KERNEL = (0.25, 0.5, 0.25)  # weights of the knot before, the knot and the next, in smoothing


@dataclass(frozen=True, slots=True)
class Choices:
    """grades, noise: of the `FactorModel`. weights: float32 (n_knots, N_PARTS). figures: by part and knot."""

    grades: Floats = field(default_factory=GRADES.copy)
    noise: float = NOISE
    weights: Floats = field(default_factory=USUAL_WEIGHTS.copy)
    figures: dict[str, Estimate] = field(default_factory=dict)


def choose(
    interactions: Interactions,
    content: Floats,
    config: Config,
    rng: np.random.Generator,
    progress: Progress,
    checkpoint: Checkpoint = NOTHING_KEPT,
) -> Choices:
    """Fit the parts without some users, and choose what ranks the liked items of these best."""
    held = held_out.users_to_hold_out(interactions, rng)
    if not len(held):
        return Choices()
    train = users_of(interactions, np.setdiff1d(np.arange(interactions.n_users), held))
    drawn = list(held_out.drawn(interactions, held, rng))
    transitions = ItemTransitions.fit(train, rng=rng)  # for all targets: they hardly change it
    scored = [
        _scored(train, drawn, grades, transitions, content, config, rng, progress, checkpoint)
        for grades in GRADE_SETS
    ]
    noises = [_best_noise(examples) for examples in scored]
    reached = np.stack(
        [_at_usual(examples, noise) for examples, noise in zip(scored, noises, strict=True)], axis=1
    )
    best = best_of(reached, scored[-1], SLIGHT)
    weights, figures = weigh(scored[best], noises[best])
    return Choices(GRADE_SETS[best], NOISES[noises[best]], weights, figures)


def _scored(
    train: Interactions,
    drawn: list[Drawn],
    grades: Floats,
    transitions: ItemTransitions,
    content: Floats,
    config: Config,
    rng: np.random.Generator,
    progress: Progress,
    checkpoint: Checkpoint,
) -> list[Example]:
    """Fit the parts with these targets, and score the examples."""
    # A third of the iterations is enough to compare the parts.
    shorter = replace(config, iterations=max(1, config.iterations // 3))
    factor_model, *_ = fit_factors(
        train,
        content,
        shorter,
        rng,
        lambda done: progress("weighing: factors", done),
        checkpoint,
        grades=grades,
    )
    items = fit_items(train, content, config, rng, grades=grades)
    popular = popularity(train, np.full(train.n_items, np.nan, np.float32))
    noisy = [
        Blend(replace(factor_model, noise=noise), items, transitions, popular, USUAL_WEIGHTS)
        for noise in NOISES
    ]
    progress("weighing: users", 0.0)
    return [held_out.example(noisy, one) for one in drawn]


def _best_noise(examples: list[Example]) -> int:
    alone = np.eye(N_PARTS, dtype=np.float32)[FACTORS]
    reached = np.array(
        [
            [example.ndcg(noise, np.stack((alone, _usual(example)))).mean() for noise in range(len(NOISES))]
            for example in examples
        ]
    )
    return best_of(reached, examples, SLIGHT)


def _at_usual(examples: list[Example], noise: int) -> Figures:
    return np.array([example.ndcg(noise, _usual(example)[None, :])[0] for example in examples])


def _usual(example: Example) -> Floats:
    return np.asarray(USUAL_WEIGHTS[example.knot])


def weigh(examples: list[Example], noise: int) -> tuple[Floats, dict[str, Estimate]]:
    """Choose the weights of each knot on the examples of that knot and its neighbors; and figures."""
    weights = USUAL_WEIGHTS.copy()
    figures: dict[str, Figures] = {}
    measured: dict[int, list[Example]] = {}
    unordered = USUAL_WEIGHTS * (np.arange(N_PARTS) != TRANSITIONS)
    mixtures = np.concatenate((np.array(MIXTURES, np.float32), unordered))  # the usual ones of all knots last
    by_mixture = [example.ndcg(noise, mixtures) for example in examples]
    for knot in range(len(KNOTS)):
        places = [place for place, example in enumerate(examples) if abs(example.knot - knot) <= 1]
        if len(places) < MIN_EXAMPLES:
            continue
        measured[knot] = [examples[place] for place in places]
        columns = [*range(len(MIXTURES)), len(MIXTURES) + knot]
        reached = np.array([by_mixture[place][columns] for place in places])
        weights[knot] = mixtures[columns[best_of(reached, measured[knot], CLEAR)]]
        figures |= {_name(part, knot): reached[:, n] for n, part in enumerate(PART_NAMES)}
    weights = smooth(weights)
    scales = np.array(TRANSITION_SCALES, np.float32)
    by_scale = {}
    for knot, near in measured.items():
        ordered = np.tile(weights[knot], (len(scales), 1))
        ordered[:, TRANSITIONS] = USUAL_WEIGHTS[knot, TRANSITIONS] * scales
        by_scale[knot] = np.array([example.ndcg(noise, ordered) for example in near])
    scale = len(scales) - 1
    if measured:
        everyone = [example for near in measured.values() for example in near]
        scale = best_of(np.concatenate(list(by_scale.values())), everyone, CLEAR)
    weights[:, TRANSITIONS] = USUAL_WEIGHTS[:, TRANSITIONS] * scales[scale]
    figures |= {_name("blend", knot): reached[:, scale] for knot, reached in by_scale.items()}
    rng = np.random.default_rng(0)
    return weights, {name: metrics.bootstrap(each, rng) for name, each in figures.items()}


def smooth(weights: Floats) -> Floats:
    """Smooth over the knots what differs from the usual weights; each knot keeps its usual sum.

    float32 (n_knots, N_PARTS), without transitions.
    """
    usual = USUAL_WEIGHTS.copy()
    usual[:, TRANSITIONS] = 0
    plain = weights.copy()
    plain[:, TRANSITIONS] = 0
    sums = usual.sum(axis=1, keepdims=True)
    apart = plain / plain.sum(axis=1, keepdims=True) - usual / sums
    padded = np.concatenate((apart[:1], apart, apart[-1:]))
    smoothed = sum(share * padded[k : k + len(apart)] for k, share in enumerate(KERNEL))
    shares = np.maximum(usual / sums + smoothed, 0)
    shares[:, FACTORS] = np.maximum(shares[:, FACTORS], LEAST)
    return np.asarray(np.where(np.any(smoothed, axis=1, keepdims=True), shares * sums, usual), np.float32)


def best_of(reached: Figures, examples: Sequence[Example], clear: float) -> int:
    """Choose a candidate: the last one, unless another is better by `clear` standard errors.

    reached: float64 (n_examples, n_candidates). Own histories count half, imitated ones the other half, and
    users equally within each kind. Of several clear ones, the one with the largest lower bound of its gain.
    """
    gains = reached - reached[:, -1:]
    users, own = np.array([example.user for example in examples]), np.array([e.own for e in examples])
    means: list[Figures] = []
    variances: list[Figures] = []
    for kind in (own, ~own):
        ids, place = np.unique(users[kind], return_inverse=True)
        if len(ids) < MIN_GROUP:
            continue
        sums = np.zeros((len(ids), gains.shape[1]))
        np.add.at(sums, place, gains[kind])
        per_user = sums / np.bincount(place)[:, None]
        means.append(per_user.mean(axis=0))
        variances.append(per_user.var(axis=0) / len(ids))
    last = int(gains.shape[1]) - 1
    if not means:
        return last
    bound: Figures = np.mean(means, axis=0) - clear * np.sqrt(np.sum(variances, axis=0)) / len(means)
    bound[last] = 0
    best = int(bound.argmax())
    return best if best != last and float(bound[best]) > 0 else last


def _name(part: str, knot: int) -> str:
    return f"ndcg@{DEPTH}_of_{part}_at_{int(KNOTS[knot])}"
