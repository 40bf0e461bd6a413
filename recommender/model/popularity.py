"""Item popularity (not personalized)."""

import numpy as np
import numpy.typing as npt

from recommender.interactions import Interactions
from recommender.model.fold_in import graded

Floats = npt.NDArray[np.float32]

HALF_LIFE = 365 * 86_400.0  # seconds after which the weight of a rating is half way to FLOOR
FLOOR = 0.1  # minimum weight, so that classics stay popular


def popularity(interactions: Interactions, vote_counts: npt.NDArray[np.float32]) -> Floats:
    """The logarithm of the weighted graded ratings of each item, float32 (n_items,).

    Standardized over the items with ratings. The weight of a rating falls with its age, counted from the
    newest rating. `vote_counts`, float32 (n_items,), nan where unknown, are counts from other sources. They
    count at most as one rating of an item, so that they only order unrated items and break ties.
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
    mean = over.mean() if over.size else 0.0
    standard: Floats = ((score - mean) / (spread if spread > 0 else 1.0)).astype(np.float32)
    return standard


def freshness(timestamps: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Weights of ratings by age, float64 (n,), FLOOR to 1; the mean weight for unknown times."""
    fresh = np.ones(timestamps.size)
    known = timestamps > 0
    if known.any():
        age = timestamps[known].max() - timestamps[known]
        fresh[known] = FLOOR + (1 - FLOOR) * np.exp2(-age / HALF_LIFE)
        fresh[~known] = fresh[known].mean()
    return fresh
