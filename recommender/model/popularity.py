"""How much an item is watched, whoever asks."""

import numpy as np
import numpy.typing as npt

from recommender.interactions import Interactions
from recommender.model.fold_in import graded

Floats = npt.NDArray[np.float32]


HALF_LIFE = 365 * 86_400.0  # seconds after which a rating tells half as much of what is watched now
FLOOR = 0.1  # what it never falls below, so that a classic stays one


def popularity(interactions: Interactions, vote_counts: npt.NDArray[np.float32]) -> Floats:
    """float32 (n_items,), the logarithm of an item's graded ratings, standardized over the items rated at
    all.

    Old ratings count less than those of the newest second of all. `vote_counts`, float32 (n_items,), nan
    where unknown, are counts from elsewhere: together they weigh at most as one rating, so that they order
    the items nobody here has rated and settle ties, and no more.
    """
    counts = np.bincount(
        interactions.user_items.indices,
        weights=graded(interactions.user_items.data) * freshness(interactions.timestamps),
        minlength=interactions.n_items,
    )
    known = np.log1p(np.maximum(np.nan_to_num(vote_counts.astype(np.float64)), 0))
    score = np.log1p(counts + known / max(known.max(initial=0.0), 1.0))
    rated = counts > 0
    over = score[rated] if rated.any() else score
    spread = over.std() if over.size else 0.0
    centre = over.mean() if over.size else 0.0
    standard: Floats = ((score - centre) / (spread if spread > 0 else 1.0)).astype(np.float32)
    return standard


def freshness(timestamps: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """float64 (n,), FLOOR to 1; a rating of unknown time counts as the average one of known time."""
    fresh = np.ones(timestamps.size)
    known = timestamps > 0
    if known.any():
        age = timestamps[known].max() - timestamps[known]
        fresh[known] = FLOOR + (1 - FLOOR) * np.exp2(-age / HALF_LIFE)
        fresh[~known] = fresh[known].mean()
    return fresh
