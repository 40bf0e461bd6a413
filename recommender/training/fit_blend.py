"""Fit the blend: its parts, and their weights on held-out users."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender import metrics
from recommender.interactions import History, Interactions
from recommender.metrics import RELEVANT_STARS, Estimate
from recommender.model.blend import FACTORS, ITEMS, KNOTS, POPULARITY, TRANSITIONS, Blend
from recommender.model.content import components_of, vectors_of
from recommender.model.content_prior import ContentPrior
from recommender.model.edlae import ItemWeights
from recommender.model.fold_in import FactorModel, graded
from recommender.model.item_step import ItemStep
from recommender.model.transitions import ItemTransitions
from recommender.progress import Progress
from recommender.splits import users_of
from recommender.training import ials
from recommender.training.checkpoint import NOTHING_KEPT, Checkpoint
from recommender.training.config import Config
from recommender.training.sessions import sessions

Floats = npt.NDArray[np.float32]

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
ITEM_WEIGHTS = (0.0, 0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.0, 3.0)
POPULARITY_WEIGHTS = (0.0, 0.3, 1.0, 3.0)
LEAST = 0.01  # weight of the factors: only they rank items with few ratings
# Each part alone, then all mixtures without transitions.
MIXTURES = [
    *np.maximum(np.eye(N_PARTS), LEAST * np.eye(N_PARTS)[FACTORS]),
    *((1.0, items, 0.0, popular) for items in ITEM_WEIGHTS for popular in POPULARITY_WEIGHTS),
]
TRANSITION_SCALES = (0.0, 0.5, 1.5, 2.0, 1.0)  # factors of the usual weights; the last one keeps them
CLEAR = 2.0  # standard errors by which other weights must be better
MAX_SHARE = 0.2  # of the users are held out, at most MAX_USERS
MAX_USERS = 250
MIN_USERS = 30  # with fewer held-out users the usual weights stay
MIN_EXAMPLES = 60
# Histories longer than NEWCOMER are taken only from users with at most LONGEST times as many ratings: users
# with 500 ratings differ from those with 50.
NEWCOMER, LONGEST = 16, 2.5
DEPTH = 20  # of the lists that are compared
POOL = 200  # best items of each part, the candidates of the blended list


@dataclass(frozen=True, slots=True)
class Example:
    """The candidates of one list: their scores by each part, and which of them are relevant.

    parts: float32 (N_PARTS, n_pool), standardized. hits: bool (n_pool,). n_relevant: in the whole catalog.
    """

    parts: Floats
    hits: npt.NDArray[np.bool_]
    n_relevant: int


def fit(
    interactions: Interactions,
    content: Floats,
    popularity: Floats,
    config: Config,
    rng: np.random.Generator,
    progress: Progress,
    checkpoint: Checkpoint = NOTHING_KEPT,
) -> tuple[Blend, ContentPrior, ItemStep | None, dict[str, Estimate]]:
    """Fit the blend to all ratings, and report NDCG@20 of each part and of the blend on held-out users.

    The figures are slightly below those of the returned blend, which is fitted to more users and longer.
    """
    weights, figures = _weights(interactions, content, popularity, config, rng, progress, checkpoint)
    factor_model, content_prior, item_step = fit_factors(
        interactions, content, config, rng, lambda done: progress("factors", done), checkpoint
    )
    progress("item weights", 0.0)
    items = fit_items(interactions, content, config, rng)
    transitions = ItemTransitions.fit(interactions, rng=rng)
    return Blend(factor_model, items, transitions, popularity, weights), content_prior, item_step, figures


class Fitted(NamedTuple):
    """item_step is None without ratings."""

    model: FactorModel
    content_prior: ContentPrior
    item_step: ItemStep | None


def fit_factors(
    interactions: Interactions,
    content: Floats,
    config: Config,
    rng: np.random.Generator,
    progress: Callable[[float], None],
    checkpoint: Checkpoint = NOTHING_KEPT,
) -> Fitted:
    """Fit iALS to the items with ratings, then move each item toward its content prior."""
    counts = np.bincount(interactions.user_items.indices, minlength=interactions.n_items)
    rated = counts > 0
    if not rated.any():  # without ratings the content vectors are the factors
        return _of_content(content, config)
    everything = _targets(interactions)
    targets = everything[:, rated].tocsr()
    regularization = config.regularization
    if regularization is None:
        regularization = ials.regularization_for(targets, alpha0=config.alpha0, rng=rng)
    scales = {"regularization": regularization, "alpha0": config.alpha0}
    user_factors, fitted = ials.fit(
        targets,
        factors=min(config.factors, *targets.shape),
        iterations=config.iterations,
        rng=rng,
        progress=progress,
        checkpoint=checkpoint,
        **scales,
    )
    content_prior = ContentPrior.fit(content[rated], fitted, counts[rated])
    item_factors = ials.toward(content_prior.factors(content), everything.T.tocsr(), user_factors, **scales)
    of_users = {"user_factors": user_factors, "counts": np.diff(targets.indptr), "alpha0": config.alpha0}
    model = FactorModel.of(item_factors, rated, **of_users)
    content_prior = ContentPrior.fit(content[rated], model.item_factors[rated], counts[rated])
    # Unrated items keep the factors of the prior before the last half-step, so that their first rating does
    # not move them by the difference of the two priors.
    placed = np.where(rated[:, None], content_prior.factors(content), model.item_factors)
    item_step = ItemStep.of(item_factors, counts, placed, regularization=regularization, **of_users)
    return Fitted(model, content_prior, item_step)


def fit_items(
    interactions: Interactions, content: Floats, config: Config, rng: np.random.Generator
) -> ItemWeights:
    return ItemWeights.fit(
        _targets(interactions),
        components_of(content),  # without the numbers: equal popularity is not similarity
        sessions(interactions, rng=rng),
        max_bytes=config.item_weight_bytes,
        ridge=config.item_ridge,
        dropout=config.item_dropout,
        content_weight=config.item_content,
        session_weight=config.item_sittings,
    )


def _of_content(content: Floats, config: Config) -> Fitted:
    everything = np.ones(len(content), bool)
    vectors = vectors_of(content)
    no_users = np.zeros((0, vectors.shape[1]), np.float32)
    model = FactorModel.of(
        vectors, everything, user_factors=no_users, counts=np.zeros(0, np.int64), alpha0=config.alpha0
    )
    return Fitted(model, ContentPrior.fit(content, model.item_factors, everything.astype(np.int64)), None)


def _targets(interactions: Interactions) -> sparse.csr_matrix:
    targets = interactions.user_items.copy()
    targets.data = graded(targets.data)
    return targets


def _weights(
    interactions: Interactions,
    content: Floats,
    popularity: Floats,
    config: Config,
    rng: np.random.Generator,
    progress: Progress,
    checkpoint: Checkpoint,
) -> tuple[Floats, dict[str, Estimate]]:
    """float32 (n_knots, N_PARTS), and figures."""
    usual = np.array([USUAL[part] for part in range(N_PARTS)], np.float32).T
    several = np.flatnonzero(np.diff(interactions.user_items.indptr) > 2 * KNOTS[1])
    n_held = min(MAX_USERS, int(MAX_SHARE * len(several)))
    if n_held < MIN_USERS:
        return usual, {}
    held = np.sort(rng.permutation(several)[:n_held])
    train = users_of(interactions, np.setdiff1d(np.arange(interactions.n_users), held))
    # Half the iterations are enough to compare the parts.
    shorter = replace(config, iterations=max(1, config.iterations // 2))
    factor_model, *_ = fit_factors(
        train, content, shorter, rng, lambda done: progress("weighing: factors", done), checkpoint
    )
    items = fit_items(train, content, config, rng)
    blend = Blend(factor_model, items, ItemTransitions.fit(train, rng=rng), popularity, usual)
    examples = []
    for knot, length in enumerate(KNOTS):
        progress("weighing: users", knot / len(KNOTS))
        drawn = _examples(interactions, held, int(length), rng)
        examples.append([_example(blend, *one) for one in drawn])
    return _chosen(examples, usual)


def _chosen(examples: list[list[Example]], usual: Floats) -> tuple[Floats, dict[str, Estimate]]:
    """Choose the weights of each knot on the examples of that knot and its neighbors; and figures."""
    weights = usual.copy()
    figures: dict[str, npt.NDArray[np.float64]] = {}
    measured = []
    for knot in range(len(KNOTS)):
        near = [example for group in examples[max(0, knot - 1) : knot + 2] for example in group]
        if len(near) < MIN_EXAMPLES:
            continue
        unordered = usual[knot] * (np.arange(N_PARTS) != TRANSITIONS)
        mixtures = np.concatenate((np.array(MIXTURES, np.float32), unordered[None, :]))
        reached = _reached(near, mixtures)
        weights[knot] = mixtures[_choose(reached, N_PARTS)]
        ordered = np.tile(weights[knot], (len(TRANSITION_SCALES), 1))
        ordered[:, TRANSITIONS] += usual[knot, TRANSITIONS] * np.array(TRANSITION_SCALES, np.float32)
        measured.append((knot, ordered, _reached(near, ordered)))
        figures |= {_name(part, knot): reached[:, n] for n, part in enumerate(PART_NAMES)}
    if measured:
        scale = _choose(np.concatenate([reached for *_, reached in measured]))
        weights[:, TRANSITIONS] = usual[:, TRANSITIONS] * TRANSITION_SCALES[scale]
    for knot, ordered, reached in measured:
        weights[knot] = ordered[scale]
        figures[_name("blend", knot)] = reached[:, scale]
    rng = np.random.default_rng(0)
    return weights, {name: metrics.bootstrap(each, rng) for name, each in figures.items()}


def _name(part: str, knot: int) -> str:
    return f"ndcg@{DEPTH}_of_{part}_at_{int(KNOTS[knot])}"


def _examples(
    interactions: Interactions, users: npt.NDArray[np.int64], length: int, rng: np.random.Generator
) -> Iterator[tuple[History, npt.NDArray[np.int32]]]:
    """Yield histories of `length` items and the liked items to find.

    Up to three per user with enough ratings: random items and all others; the earliest items and the next
    ones; the items before the latest, and the latest.
    """
    for user in users.tolist():
        whole = interactions.history(user)
        longest = np.inf if length <= NEWCOMER else LONGEST * length
        if not 1.25 * length < len(whole) <= longest:
            continue
        drawn = rng.permutation(len(whole))
        in_time = drawn[np.argsort(whole.timestamps[drawn], kind="stable")]
        size = length + max(5, length // 4)
        for order in (drawn, in_time[:size], in_time[-size:]):
            known, later = np.sort(order[:length]), order[length:]
            relevant = whole.item_idx[later][whole.stars[later] >= RELEVANT_STARS]
            if len(relevant):
                history = History(whole.item_idx[known], whole.stars[known], whole.timestamps[known])
                yield history, relevant


def _example(blend: Blend, history: History, relevant: npt.NDArray[np.int32]) -> Example:
    one = np.float32(1)
    by_items, by_order = np.zeros_like(blend.popularity), np.zeros_like(blend.popularity)
    blend.add_by_items(by_items, history, one)
    blend.add_by_transitions(by_order, history, one)
    parts = np.stack([blend.by_factors(history, one), by_items, by_order, blend.popularity])
    parts[:, history.item_idx] = -np.inf
    depth = min(POOL, parts.shape[1] - len(history))
    pool = np.unique(np.argpartition(-parts, depth - 1, axis=1)[:, :depth])
    return Example(parts[:, pool], np.isin(pool, relevant), len(relevant))


def _reached(examples: list[Example], candidates: Floats) -> npt.NDArray[np.float64]:
    """NDCG of the lists of each candidate's weights, float64 (n_examples, n_candidates)."""
    rows = []
    for example in examples:
        blended = candidates @ example.parts  # (n_candidates, n_parts) @ (n_parts, n_pool)
        depth = min(DEPTH, blended.shape[1])
        best = np.argpartition(-blended, depth - 1, axis=1)[:, :depth]
        order = np.argsort(-np.take_along_axis(blended, best, axis=1), axis=1, kind="stable")
        hits = example.hits[np.take_along_axis(best, order, axis=1)]
        rows.append(metrics.ndcg(hits, np.full(len(candidates), example.n_relevant), DEPTH))
    return np.array(rows)


def _choose(reached: npt.NDArray[np.float64], n_alone: int = 0) -> int:
    """Choose a candidate: the last, with the usual weights, unless the best one is clearly better.

    The best one is also chosen if one of the first n_alone candidates, the single parts, is better at all.
    reached: float64 (n_examples, n_candidates).
    """
    means = reached.mean(axis=0)
    best = int(means.argmax())
    gain = reached[:, best] - reached[:, -1]
    clear = gain.mean() > CLEAR * gain.std() / np.sqrt(len(gain))
    return best if clear or means[:n_alone].max(initial=0) > means[-1] else len(means) - 1
