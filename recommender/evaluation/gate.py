"""The gate before activation: is a candidate no worse than the active model on the same held-out ratings?

Both rank the whole catalog for the same users. Differences are paired by user. A candidate is refused if the
95 % interval of its NDCG@10 minus the other's lies below 0, if its lists cover much less of the catalog, or
if they take much longer.
"""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender import metrics
from recommender.evaluation.predictions import users_with
from recommender.interactions import History, positions
from recommender.metrics import RELEVANT_STARS, Estimate
from recommender.model.hybrid import Hybrid
from recommender.scorers.likes import liked
from recommender.splits import Split

K = 10
MIN_USERS = 30  # with fewer, a comparison says nothing
MAX_USERS = 2_000  # a random sample of more
LEAST_COVERAGE = 0.5  # of the active model's
MOST_TIME = 3.0  # times the active model's median time of a list
FAST = 0.05  # seconds; a list that takes no longer is fast enough


@dataclass(frozen=True, slots=True)
class ListFigures:
    """The lists of one model: mean NDCG@10, share of the catalog in any list, median seconds of a list."""

    ndcg: float
    coverage: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """passed: whether the candidate may become active. reason: why not, or why nothing was compared.

    difference: NDCG@10 of the candidate minus that of the active model, paired by n_users users. It and the
    measurements are None if nothing was compared.
    """

    passed: bool
    reason: str | None
    n_users: int = 0
    difference: Estimate | None = None
    candidate: ListFigures | None = None
    active: ListFigures | None = None


def judge(split: Split, candidate: Hybrid, active: Hybrid) -> Verdict:
    """Compare two models on the held-out ratings of a split, whose items are `candidate.item_ids`.

    Neither model may have been fitted to the held-out ratings.
    """
    users = users_with(split.held_out, RELEVANT_STARS, MAX_USERS, np.random.default_rng(0))
    if len(users) < MIN_USERS:
        return Verdict(
            True, f"only {len(users)} members have a held-out like: nothing was compared", len(users)
        )
    ours, first = _measured(split, users, candidate, candidate.item_ids)
    theirs, second = _measured(split, users, active, candidate.item_ids)
    difference = metrics.bootstrap(ours - theirs, np.random.default_rng(0))
    reason = _fault(difference, first, second)
    return Verdict(reason is None, reason, len(users), difference, first, second)


def _fault(difference: Estimate, candidate: ListFigures, active: ListFigures) -> str | None:
    """Why the candidate is refused; None if it is not."""
    if difference.high < 0:
        return (
            f"its NDCG@{K} is lower by {-difference.value:.4f} "
            f"[{-difference.high:.4f}, {-difference.low:.4f}]: {candidate.ndcg:.4f}, not {active.ndcg:.4f}"
        )
    if candidate.coverage < LEAST_COVERAGE * active.coverage:
        return f"its lists cover {candidate.coverage:.2%} of the catalog, not {active.coverage:.2%}"
    if candidate.seconds > max(FAST, MOST_TIME * active.seconds):
        return f"a list takes {1000 * candidate.seconds:.0f} ms, not {1000 * active.seconds:.0f} ms"
    return None


def _measured(
    split: Split, users: NDArray[np.intp], model: Hybrid, item_ids: NDArray[np.int64]
) -> tuple[NDArray[np.float64], ListFigures]:
    """NDCG@10 of each user, float64 (n_users,), and the measurements. `item_ids`: of the split's items."""
    place = positions(model.item_ids, item_ids)  # -1 for an item that the model does not know
    back = positions(item_ids, model.item_ids)
    hits, n_relevant = np.zeros((len(users), K), bool), np.zeros(len(users), np.int64)
    exposure, seconds = np.zeros(len(item_ids), np.int64), np.zeros(len(users))
    for row, user in enumerate(users.tolist()):
        history = _in_model(split.histories.history(user), place)
        begun = time.perf_counter()
        found = model.recommend(history, k=K, allowed=back >= 0).item_idx
        seconds[row] = time.perf_counter() - begun
        shown = back[found]
        relevant = liked(split.held_out.history(user))
        hits[row, : len(shown)], n_relevant[row] = np.isin(shown, relevant), len(relevant)
        exposure[shown] += 1
    reached = metrics.ndcg(hits, n_relevant, K)
    return reached, ListFigures(float(reached.mean()), metrics.coverage(exposure), float(np.median(seconds)))


def _in_model(history: History, place: NDArray[np.int32]) -> History:
    item_idx = place[history.item_idx]
    known = item_idx >= 0
    return History(item_idx[known], history.stars[known], history.timestamps[known])
