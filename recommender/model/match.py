"""Match percent: the calibrated probability that a user gives an item at least four stars."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from recommender.interactions import MAX_STARS, MIN_STARS, History
from recommender.model.star_ratings import Doubles, StarsModel

LIKED_STARS = 4.0
BOUNDARY = 3.75  # halfway to the next half-star below: where a continuous prediction becomes a like
PRIOR_COUNT = 5.0  # ratings of the average user or item that a user or item begins with
N_FEATURES = 8
OUTLYING = 4.0  # deviations
BENT = 3.0  # deviations of the distance within which the logistic may bend; straight beyond
POWERS = (2, 3)  # of the distance: tails are not a normal's, and stars are whole or half


@dataclass(frozen=True, slots=True)
class Predictions:
    """What is foretold of some items for one user, float32 arrays of one length.

    stars, and low and high that hold the rating in 80 % of cases: 0.5 to 5; nan where nothing is known.
    match_percent: 0 to 100, nan likewise.
    """

    stars: NDArray[np.float32]
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    match_percent: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class MatchModel:
    """Logistic regression on the predicted stars and on how user and item have rated and been rated."""

    weights: Doubles  # (N_FEATURES + 2,), of `standardized`
    centre: Doubles  # (N_FEATURES,), taken off the features
    scale: Doubles  # (N_FEATURES,), divides them
    intercept: float
    mean: float  # of all stars
    liked_share: float  # of all ratings
    item_statistics: NDArray[np.float32]  # (n_items, 3): log(1 + count), mean stars, liked share

    def match_percent(
        self, history: History, item_idx: NDArray[np.integer], stars: Doubles, deviation: Doubles
    ) -> Doubles:
        """0 to 100, float64 (n,), from what `StarsModel.predict` gave; nan where the stars are nan."""
        return 100 * self.probability(self.features(history, item_idx, stars, deviation))

    def probability(self, features: Doubles) -> Doubles:
        """float64 (n,) from `features`."""
        logit = standardized(features, self.centre, self.scale) @ self.weights + self.intercept
        return np.asarray(expit(logit))

    def features(
        self, history: History, item_idx: NDArray[np.integer], stars: Doubles, deviation: Doubles
    ) -> Doubles:
        """(n, N_FEATURES): the standardized distance to a like comes first."""
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

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The whole state."""
        scalars = np.array([self.intercept, self.mean, self.liked_share])
        names = ("weights", "centre", "scale", "item_statistics")
        return {"scalars": scalars, **{name: getattr(self, name) for name in names}}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> Self:
        intercept, mean, liked_share = (float(value) for value in arrays["scalars"])
        rest = {name: array for name, array in arrays.items() if name != "scalars"}
        return cls(intercept=intercept, mean=mean, liked_share=liked_share, **rest)


def predict(
    stars_model: StarsModel, match_model: MatchModel, history: History, item_idx: NDArray[np.integer]
) -> Predictions:
    """Stars, interval and match for a user known by `history` only, seen in training or not."""
    stars, deviation = stars_model.predict(stars_model.fold_in(history), item_idx)
    low, high = stars_model.interval(stars, deviation)
    match = match_model.match_percent(history, item_idx, stars, deviation)
    shown = np.clip(stars, MIN_STARS, MAX_STARS)
    return Predictions(*(column.astype(np.float32) for column in (shown, low, high, match)))


def standardized(features: Doubles, centre: Doubles, scale: Doubles) -> Doubles:
    """(n, N_FEATURES + 2): in deviations, then the POWERS of the distance.

    All but the distance are OUTLYING at most: nothing was fitted beyond.
    """
    standard = (features - centre) / scale
    standard[:, 1:] = standard[:, 1:].clip(-OUTLYING, OUTLYING)
    bent = standard[:, :1].clip(-BENT, BENT)
    return np.concatenate([standard, *(bent**power for power in POWERS)], axis=1)


def statistics_of(
    count: NDArray[Any], stars: NDArray[Any], liked: NDArray[Any], means: tuple[float, float]
) -> Doubles:
    """(n, 3): log(1 + count), mean stars and share of likes, the last two drawn to `means`."""
    weight = count + PRIOR_COUNT
    shrunk = (stars + PRIOR_COUNT * means[0]) / weight, (liked + PRIOR_COUNT * means[1]) / weight
    return np.stack([np.log1p(count), *shrunk], axis=1).astype(np.float64)
