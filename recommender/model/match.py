"""Match percent: the calibrated probability that a user gives an item at least four stars."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from recommender.interactions import MAX_STARS, MIN_STARS, History
from recommender.model.popularity import STARS
from recommender.model.star_ratings import Doubles, StarsModel, with_one

LIKED_STARS = 4.0
BOUNDARY = 3.75  # of a continuous prediction of a like: halfway to the half-star below LIKED_STARS
PRIOR_COUNT = 5.0  # average ratings added to those of each user or item
# Ratings of an item whose prior is half that of its habits and half that of its content alone: few ratings
# can mean an obscure item or a new one. Chosen on validation splits: docs/predictions.md.
OBSCURE = 3.0
N_FEATURES = 8
OUTLYING = 4.0  # standard deviations at which features are clipped
BENT = 3.0  # standard deviations of the distance at which its powers are clipped
# A list holds back items that the user probably does not like: their rank counts HELD_BACK times. The share
# of that falls from 1 to 0 between these match percents. Chosen on validation splits: docs/recommender.md.
HELD_BACK = 7.0
MOST_PLACES = 40  # by which an item moves
DOUBTED, TRUSTED = 49.5, 51.0
POWERS = (2, 3)  # of the distance: errors are not normal, and stars are discrete


@dataclass(frozen=True, slots=True)
class Predictions:
    """Predicted ratings of items for one user, float32 arrays of one length.

    stars: 0.5 to 5. low, high: bounds of the 80 % interval, 0.5 to 5. match_percent: 0 to 100. All are
    nan for items without data.
    """

    stars: NDArray[np.float32]
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    match_percent: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Sums:
    """The number of ratings of m items, the sum of their stars, and how many are likes: float64 (m,)."""

    count: Doubles
    stars: Doubles
    liked: Doubles

    @classmethod
    def of(cls, histogram: NDArray[np.int32]) -> Self:
        """From a histogram of half-stars, int32 (m, HALF_STARS)."""
        likes = histogram[:, STARS >= LIKED_STARS]
        return cls(*(sums.astype(np.float64) for sums in (histogram.sum(1), histogram @ STARS, likes.sum(1))))


@dataclass(frozen=True, slots=True)
class MatchModel:
    """Logistic regression on predicted stars and on rating statistics of user and item."""

    weights: Doubles  # (N_FEATURES + 2,), of `standardized`
    centre: Doubles  # (N_FEATURES,), subtracted from the features
    scale: Doubles  # (N_FEATURES,), divides the features
    intercept: float
    mean: float  # of all stars
    liked_share: float  # of all ratings
    item_statistics: NDArray[np.float32]  # (n_items, 3): log(1 + count), mean stars, liked share
    statistics_map: NDArray[np.float32]  # (content width + 1, 3), predicts them for a new item

    def match_percent(
        self, history: History, item_idx: NDArray[np.integer], stars: Doubles, deviation: Doubles
    ) -> Doubles:
        """Match percents, 0 to 100, float64 (n,), from the results of `StarsModel.predict`."""
        return 100 * self.probability(self.features(history, item_idx, stars, deviation))

    def probability(self, features: Doubles) -> Doubles:
        """The probability of a like, float64 (n,), from `features`."""
        logit = standardized(features, self.centre, self.scale) @ self.weights + self.intercept
        return np.asarray(expit(logit))

    def features(
        self, history: History, item_idx: NDArray[np.integer], stars: Doubles, deviation: Doubles
    ) -> Doubles:
        """The features, (n, N_FEATURES); the first is the standardized distance to a like."""
        user = statistics_of(
            np.array([len(history)]),
            np.array([history.stars.sum(dtype=np.float64)]),
            np.array([(history.stars >= LIKED_STARS).sum()]),
            (self.mean, self.liked_share),
        )
        distance = (stars - BOUNDARY) / deviation
        own = np.stack([distance, deviation], axis=1)
        about_user = np.broadcast_to(user, (len(item_idx), user.shape[1]))
        return np.concatenate([own, about_user, self.item_statistics[item_idx]], axis=1)

    def expected_statistics(self, content: NDArray[np.float32]) -> NDArray[np.float32]:
        """Rows of `item_statistics` for items without ratings, from content, float32 (n, 3)."""
        width = len(self.statistics_map)  # 1, the constant, in models of earlier releases
        return (with_one(content)[:, -width:] @ self.statistics_map).astype(np.float32)

    def with_ratings(self, item_idx: NDArray[np.integer], before: Sums, after: Sums) -> Self:
        """The model with the statistics of m items that had the ratings `before`, and now have `after`.

        What the content of an item lets expect keeps the weight that it has in the fit.
        """
        item_statistics = self.item_statistics.copy()
        logs, stars, liked = item_statistics[item_idx].astype(np.float64).T
        weights = before.count + PRIOR_COUNT, after.count + PRIOR_COUNT
        log_before, log_after = np.log1p(before.count), np.log1p(after.count)
        expected = log_before + (logs - log_before) * (before.count + OBSCURE) / OBSCURE
        moved = (
            log_after + (expected - log_after) * OBSCURE / (after.count + OBSCURE),
            (stars * weights[0] + after.stars - before.stars) / weights[1],
            (liked * weights[0] + after.liked - before.liked) / weights[1],
        )
        item_statistics[item_idx] = np.stack(moved, axis=1)
        return replace(self, item_statistics=item_statistics)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The whole state."""
        scalars = np.array([self.intercept, self.mean, self.liked_share])
        names = ("weights", "centre", "scale", "item_statistics", "statistics_map")
        return {"scalars": scalars, **{name: getattr(self, name) for name in names}}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> Self:
        intercept, mean, liked_share = (float(value) for value in arrays["scalars"])
        rest = {name: array for name, array in arrays.items() if name != "scalars"}
        if "statistics_map" not in rest:  # a model of an earlier release
            rest["statistics_map"] = np.array([[0, mean, liked_share]], np.float32)
        return cls(intercept=intercept, mean=mean, liked_share=liked_share, **rest)


def predict(
    stars_model: StarsModel, match_model: MatchModel, history: History, item_idx: NDArray[np.integer]
) -> Predictions:
    """Predict stars, interval and match percent of items for a user given by the history only."""
    user = history.derived.get(id(stars_model))
    if user is None:  # a request ranks and predicts for the same history
        user = history.derived[id(stars_model)] = stars_model.fold_in(history)
    stars, deviation = stars_model.predict(user, item_idx)
    low, high = stars_model.interval(stars, deviation)
    match = match_model.match_percent(history, item_idx, stars, deviation)
    clipped = np.clip(stars, MIN_STARS, MAX_STARS)
    return Predictions(*(column.astype(np.float32) for column in (clipped, low, high, match)))


def held_back(match_percent: NDArray[np.float32]) -> NDArray[np.intp]:
    """The order of n listed items, best first, that holds back those of a low match: positions, (n,).

    Only ranks count, not scores, so that the effect is bounded: a held-back first item moves to the seventh
    place, others by at most MOST_PLACES, and a list in which each item has a low match keeps its order. Items
    of unknown match stay.
    """
    share = np.nan_to_num((TRUSTED - match_percent) / (TRUSTED - DOUBTED)).clip(0, 1)
    rank = np.arange(1, len(match_percent) + 1)
    places = np.minimum(rank * (HELD_BACK**share - 1), MOST_PLACES)
    return np.argsort(rank + places, kind="stable")


def standardized(features: Doubles, centre: Doubles, scale: Doubles) -> Doubles:
    """Standardize the features and append the POWERS of the distance: (n, N_FEATURES + 2).

    All features except the distance are clipped at OUTLYING.
    """
    standard = (features - centre) / scale
    standard[:, 1:] = standard[:, 1:].clip(-OUTLYING, OUTLYING)
    bent = standard[:, :1].clip(-BENT, BENT)
    return np.concatenate([standard, *(bent**power for power in POWERS)], axis=1)


def statistics_of(
    count: NDArray[Any],
    stars: NDArray[Any],
    liked: NDArray[Any],
    means: tuple[float | Doubles, float | Doubles],
) -> Doubles:
    """Statistics (n, 3): log(1 + count), mean stars, share of likes; the last two shrunk to `means`."""
    weight = count + PRIOR_COUNT
    shrunk = (stars + PRIOR_COUNT * means[0]) / weight, (liked + PRIOR_COUNT * means[1]) / weight
    return np.stack([np.log1p(count), *shrunk], axis=1).astype(np.float64)
