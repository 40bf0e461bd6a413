"""Item popularity (not personalized), and how it follows ratings after the fit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from recommender.interactions import MAX_STARS, Interactions
from recommender.model.fold_in import graded

Floats = npt.NDArray[np.float32]

HALF_LIFE = 365 * 86_400.0  # seconds after which the weight of a rating is half way to FLOOR
FLOOR = 0.1  # minimum weight, so that classics stay popular
HALF_STARS = int(2 * MAX_STARS)  # ratings have 1 to so many
STARS: Floats = (np.arange(1, HALF_STARS + 1) / 2).astype(np.float32)  # of the columns of a histogram


@dataclass(frozen=True, slots=True)
class RatingCounts:
    """The ratings of each item that a model knows: those of the fit, and later ones.

    histogram: int32 (n_items, HALF_STARS), how many of the ratings of an item have each number of half-stars.
    mean, deviation: of the logarithms that `popularity` standardizes.
    """

    histogram: npt.NDArray[np.int32]
    mean: float
    deviation: float

    @classmethod
    def of(cls, interactions: Interactions, vote_counts: npt.NDArray[np.float32]) -> Self:
        """From the arguments of `popularity`."""
        ratings = interactions.user_items
        cells = ratings.indices.astype(np.int64) * HALF_STARS + np.rint(2 * ratings.data).astype(np.int64) - 1
        histogram = np.bincount(cells, minlength=interactions.n_items * HALF_STARS)
        _, mean, deviation = _logarithms(interactions, vote_counts)
        return cls(histogram.reshape(-1, HALF_STARS).astype(np.int32), mean, deviation)

    def moved(self, popularity: Floats, change: npt.NDArray[np.int32]) -> Floats:
        """The popularity of m items after more ratings, float32 (m,).

        popularity: float32 (m,), before. change: int32 (m, HALF_STARS), of the histogram; negative where
        ratings were removed. The new ratings weigh as the newest ones of the fit.
        """
        weights = np.expm1(popularity.astype(np.float64) * self.deviation + self.mean)
        after = np.log1p(np.maximum(weights + change @ graded(STARS).astype(np.float64), 0))
        return np.asarray((after - self.mean) / self.deviation, np.float32)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The state by name, for the artifact."""
        return {"histogram": self.histogram, "scale": np.array([self.mean, self.deviation])}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """The inverse of `arrays`."""
        return cls(arrays["histogram"], *map(float, arrays["scale"]))


def popularity(interactions: Interactions, vote_counts: npt.NDArray[np.float32]) -> Floats:
    """The logarithm of the weighted graded ratings of each item, float32 (n_items,).

    Standardized over the items with ratings. The weight of a rating falls with its age, counted from the
    newest rating. `vote_counts`, float32 (n_items,), nan where unknown, are counts from other sources. They
    count at most as one rating of an item, so that they only order unrated items and break ties.
    """
    score, mean, deviation = _logarithms(interactions, vote_counts)
    return ((score - mean) / deviation).astype(np.float32)


def _logarithms(
    interactions: Interactions, vote_counts: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float64], float, float]:
    """The logarithms of the weighted ratings, (n_items,); their mean and deviation over rated items."""
    counts = np.bincount(
        interactions.user_items.indices,
        weights=graded(interactions.user_items.data) * freshness(interactions.timestamps),
        minlength=interactions.n_items,
    )
    known = np.log1p(np.maximum(np.nan_to_num(vote_counts.astype(np.float64)), 0))
    score = np.log1p(counts + known / max(known.max(initial=0.0), 1.0))
    rated = counts > 0
    over = score[rated] if rated.any() else score
    spread = float(over.std()) if over.size else 0.0
    mean = float(over.mean()) if over.size else 0.0
    return score, mean, spread if spread > 0 else 1.0


def freshness(timestamps: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Weights of ratings by age, float64 (n,), FLOOR to 1; the mean weight for unknown times."""
    fresh = np.ones(timestamps.size)
    known = timestamps > 0
    if known.any():
        age = timestamps[known].max() - timestamps[known]
        fresh[known] = FLOOR + (1 - FLOOR) * np.exp2(-age / HALF_LIFE)
        fresh[~known] = fresh[known].mean()
    return fresh
