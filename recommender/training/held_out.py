"""Examples for the choices of the blend: histories of users, and the liked items to find.

Most are of users held out whole. Those of `next_items` are of the later ratings of users, for the weight of
the order of a history.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recommender import metrics
from recommender.interactions import History, Interactions
from recommender.metrics import RELEVANT_STARS
from recommender.model.blend import KNOTS, Blend
from recommender.splits import Split

Floats = npt.NDArray[np.float32]

SHARE = 0.2  # of the users are held out, at most:
MAX_SEVERAL, MAX_FEW = 300, 600  # users with more than FEW ratings, and with at most FEW
FEW = 5
MIN_USERS = 30  # with more than FEW ratings; with fewer there are no examples
MAX_NEXT = 1_000  # users whose later ratings are examples
KNOWN_SHARE = 0.8  # of an own history
MAX_IMITATED = 120  # users whose histories are cut to one length
# Histories longer than NEWCOMER are cut only from those of at most LONGEST times as many ratings: users
# with 500 ratings differ from those with 50.
NEWCOMER, LONGEST = 16, 2.5
STARTS = (2, 4, 8, 16, 32, 64)  # lengths at which the range of the next knot begins
DEPTH = 20  # of the lists that are compared
POOL = 200  # best items of each part, the candidates of the blended list


@dataclass(frozen=True, slots=True)
class Drawn:
    """A history and the liked items to find.

    knot: of its length. user: of the whole ratings. own: whether it is most of what the user has rated, or
    else a short part of it. random: whether the items to find are a random part of the ratings, or else the
    next ones.
    """

    knot: int
    user: int
    own: bool
    random: bool
    history: History
    relevant: npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Example:
    """The candidates of one list: their scores by each part, and which of them are relevant.

    factors: float32 (n_noises, n_pool), by the factors with each noise; others: float32 (3, n_pool), by the
    other parts; all standardized. hits: bool (n_pool,). n_relevant: in the whole catalog. knot, user, own,
    random: as in `Drawn`.
    """

    factors: Floats
    others: Floats
    hits: npt.NDArray[np.bool_]
    n_relevant: int
    knot: int
    user: int
    own: bool
    random: bool

    def parts(self, noise: int) -> Floats:
        """Scores by all parts, float32 (N_PARTS, n_pool)."""
        return np.concatenate((self.factors[noise : noise + 1], self.others))

    def ndcg(self, noise: int, candidates: Floats) -> npt.NDArray[np.float64]:
        """NDCG of the lists by each candidate's weights, (n_candidates, N_PARTS): (n_candidates,)."""
        blended = candidates @ self.parts(noise)  # (n_candidates, N_PARTS) @ (N_PARTS, n_pool)
        depth = min(DEPTH, blended.shape[1])
        best = np.argpartition(-blended, depth - 1, axis=1)[:, :depth]
        order = np.argsort(-np.take_along_axis(blended, best, axis=1), axis=1, kind="stable")
        hits = self.hits[np.take_along_axis(best, order, axis=1)]
        return metrics.ndcg(hits, np.full(len(candidates), self.n_relevant), DEPTH)


def users_to_hold_out(interactions: Interactions, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Draw users with several ratings and users with few, ascending; none if there are too few."""
    counts = np.diff(interactions.user_items.indptr)
    several, few = np.flatnonzero(counts > FEW), np.flatnonzero((counts > 1) & (counts <= FEW))
    n_several = min(MAX_SEVERAL, int(SHARE * len(several)))
    if n_several < MIN_USERS:
        return np.empty(0, np.int64)
    n_few = min(MAX_FEW, int(SHARE * len(few)))
    return np.sort(np.concatenate((rng.permutation(several)[:n_several], rng.permutation(few)[:n_few])))


def drawn(
    interactions: Interactions, users: npt.NDArray[np.int64], rng: np.random.Generator
) -> Iterator[Drawn]:
    """Draw examples from these users: of their own histories, and of short parts of longer ones."""
    for user in users.tolist():
        yield from _own(user, interactions.history(user), rng)
    counts = np.diff(interactions.user_items.indptr)[users]
    for knot, length in enumerate(int(knot) for knot in KNOTS):
        longest = np.inf if length <= NEWCOMER else LONGEST * length
        longer = users[(counts > 1.25 * length) & (counts <= longest)]
        for user in np.sort(rng.permutation(longer)[:MAX_IMITATED]).tolist():
            yield from _imitated(user, interactions.history(user), knot, rng)


def next_items(split: Split, rng: np.random.Generator) -> Iterator[Drawn]:
    """Draw examples from a split by time: what users rated before it, and what they liked after it."""
    before, after = (np.diff(ratings.user_items.indptr) for ratings in (split.histories, split.held_out))
    users = np.flatnonzero((before > 0) & (after > 0))
    for user in np.sort(rng.permutation(users)[:MAX_NEXT]).tolist():
        history, later = split.histories.history(user), split.held_out.history(user)
        relevant = later.item_idx[later.stars >= RELEVANT_STARS]
        if len(relevant):
            yield Drawn(_knot(len(history)), user, True, False, history, relevant)


def _knot(n_history: int) -> int:
    return int(np.searchsorted(STARTS, n_history, side="right"))


def _own(user: int, whole: History, rng: np.random.Generator) -> Iterator[Drawn]:
    """Two random splits of the ratings, and the newest ratings after the others."""
    n_known = min(max(round(KNOWN_SHARE * len(whole)), 1), len(whole) - 1)
    random = rng.permutation(len(whole)), rng.permutation(len(whole))
    in_time = random[0][np.argsort(whole.timestamps[random[0]], kind="stable")]
    for order in (*random, in_time):
        kind = True, order is not in_time
        yield from _example(_knot(n_known), user, kind, whole, order[:n_known], order[n_known:])


def _imitated(user: int, whole: History, knot: int, rng: np.random.Generator) -> Iterator[Drawn]:
    """Random ratings and all others; the earliest ratings and the next; those before the latest."""
    length = int(KNOTS[knot])
    order = rng.permutation(len(whole))
    in_time = order[np.argsort(whole.timestamps[order], kind="stable")]
    size = length + max(5, length // 4)
    for each in (order, in_time[:size], in_time[-size:]):
        kind = False, each is order
        yield from _example(knot, user, kind, whole, each[:length], each[length:])


def _example(
    knot: int,
    user: int,
    kind: tuple[bool, bool],
    whole: History,
    known: npt.NDArray[np.int64],
    later: npt.NDArray[np.int64],
) -> Iterator[Drawn]:
    relevant = whole.item_idx[later][whole.stars[later] >= RELEVANT_STARS]
    if len(relevant):
        known = np.sort(known)
        history = History(whole.item_idx[known], whole.stars[known], whole.timestamps[known])
        yield Drawn(knot, user, *kind, history, relevant)


def example(noisy: list[Blend], one: Drawn) -> Example:
    """Score the best items of each part. noisy: the blend with each noise; the other parts are the same."""
    blend, weight = noisy[0], np.float32(1)
    by_items, by_order = np.zeros_like(blend.popularity), np.zeros_like(blend.popularity)
    blend.add_by_items(by_items, one.history, weight)
    blend.add_by_transitions(by_order, one.history, weight)
    by_factors = [each.by_factors(one.history, weight) for each in noisy]
    parts = np.stack([*by_factors, by_items, by_order, blend.popularity])
    parts[:, one.history.item_idx] = -np.inf
    depth = min(POOL, parts.shape[1] - len(one.history))
    pool = np.unique(np.argpartition(-parts, depth - 1, axis=1)[:, :depth])
    pooled, hits = parts[:, pool], np.isin(pool, one.relevant)
    n = len(noisy)
    of_history = one.knot, one.user, one.own, one.random
    return Example(pooled[:n], pooled[n:], hits, len(one.relevant), *of_history)
