"""Rating prediction: the stars a user would give an item, with uncertainty."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from recommender.interactions import MAX_STARS, MIN_STARS, History

Doubles = NDArray[np.float64]
PRIOR_RATINGS = 10.0  # weight of the global noise in the noise of a user
NEIGHBOR_SHRINKAGE = 0.1  # similarity of a neighbor without a residual, added to that of rated neighbors
NORMAL_80 = 1.2816  # standard deviations to each side that contain 80 % of a normal distribution


@dataclass(frozen=True, slots=True)
class UserPosterior:
    """The posterior of a user folded in from a history: bias first, then factors."""

    mean: Doubles  # (d + 1,)
    covariance: Doubles  # (d + 1, d + 1)
    noise: float  # variance of the user's own ratings around the prediction, stars^2
    rated: NDArray[np.int32]  # (n,), the items of the history with ratings or content
    residuals: Doubles  # (n,), their stars minus the prediction


@dataclass(frozen=True, slots=True)
class StarsModel:
    """Biased matrix factorization with Gaussian posteriors over users and items.

        stars(u, i) = mean + b_u + b_i + p_u . q_i + w neighbors(u, i) + noise_u,
        (b_u, p_u) ~ N([habit_u, 1] habit_map, 1 / user_precision),
        (b_i, q_i) ~ N([content_i, 1, habit_i] A, 1 / precision)

    habit_u represents which items a user rated, regardless of stars: the sum of `habits` over the items of
    the history, divided by the square root of their number. habit_i represents which users rated an item.
    Both come from truncated singular vectors of the binary rating matrix, its entries divided by the square
    roots of both counts. SVD++ uses the same information (Koren, KDD 2008).

    neighbors(u, i) is a mean of the user's residuals of similar items, shrunk to 0: Bell and Koren,
    "Scalable Collaborative Filtering with Jointly Derived Neighborhood Interpolation Weights", ICDM 2007.

    An item without ratings has no habit: its prior is N([content_i, 1] content_map, 1 / item_precision),
    regressed on content alone with items weighted by their ratings. Items with few ratings have a mixture of
    both means as their prior.

    Fitted by mean-field variational Bayes, which minimizes the free energy (Lim and Teh, "Variational
    Bayesian Approach to Movie Rating Prediction", KDD Cup 2007); the priors are regressed on content and
    habits as in Agarwal and Chen, "Regression-based Latent Factor Models", KDD 2009. Items are fitted with
    the noise of each user (Lakshminarayanan et al., "Robust Bayesian Matrix Factorisation", AISTATS 2011),
    users with the global `noise`, in the fit as in `fold_in`. The precisions are estimated too, so that no
    strength of regularization has to be chosen for a data set.
    """

    mean: float
    noise: float  # stars^2
    width: float  # half-width of the 80 % interval in predicted standard deviations
    user_precision: NDArray[np.float32]  # (d + 1,)
    items: NDArray[np.float32]  # (n_items, d + 1), posterior means: bias first, then factors
    item_variance: NDArray[np.float32]  # (n_items, d + 1)
    item_precision: NDArray[np.float32]  # (d + 1,), of items without ratings
    content_map: NDArray[np.float32]  # (content width + 1, d + 1), of items without ratings
    habits: NDArray[np.float32]  # (n_items, habit width)
    habit_map: NDArray[np.float32]  # (habit width + 1, d + 1)
    known: NDArray[np.bool_]  # (n_items,), rated in training or with content
    neighbors: NDArray[np.int32]  # (n_items, k), items with similar residuals
    similarity: NDArray[np.float32]  # (n_items, k), 0 to 1
    neighbor_weight: float  # w, of the mean of their residuals

    def fold_in(self, history: History) -> UserPosterior:
        """The posterior of a user given the means and variances of items; the prior for an empty history."""
        observed = self.known[history.item_idx]
        idx = history.item_idx[observed]
        items = self.items[idx].astype(np.float64)
        target = history.stars[observed] - self.mean - items[:, 0]
        items[:, 0] = 1
        spread = self.item_variance[idx].sum(axis=0, dtype=np.float64)
        spread[0] = 0
        precision = items.T @ items / self.noise  # (d + 1, n) @ (n, d + 1)
        precision[np.diag_indices_from(precision)] += spread / self.noise + self.user_precision
        covariance = np.linalg.inv(precision).astype(np.float64, copy=False)
        prior = with_one(habit(self.habits[idx]))[0] @ self.habit_map
        mean = covariance @ (items.T @ target / self.noise + self.user_precision * prior)
        residuals = target - items @ mean
        noise = (PRIOR_RATINGS * self.noise + float(residuals @ residuals)) / (PRIOR_RATINGS + len(idx))
        return UserPosterior(mean, covariance, noise, idx, residuals)

    def predict(self, user: UserPosterior, item_idx: NDArray[np.integer]) -> tuple[Doubles, Doubles]:
        """Predict n items: mean, not clipped to the scale, and standard deviation, in stars, float64 (n,).

        The mean is nan for items with neither ratings nor content.
        """
        items = self.items[item_idx].astype(np.float64)
        spread = self.item_variance[item_idx].astype(np.float64)
        bias = items[:, 0].copy()
        items[:, 0] = 1
        stars = self.mean + bias + items @ user.mean
        if self.neighbor_weight and len(user.rated):
            stars += self.neighbor_weight * self.from_neighbors(user, item_idx)
        stars[~self.known[item_idx]] = np.nan
        second_moment = user.mean**2 + np.diag(user.covariance)
        second_moment[0] = 1  # the factor of the item's bias is constant
        variance = user.noise + spread @ second_moment
        variance += np.einsum("nd,nd->n", items @ user.covariance, items)
        return stars, np.sqrt(variance)

    def from_neighbors(self, user: UserPosterior, item_idx: NDArray[np.integer]) -> Doubles:
        """The shrunk mean residual of the user's ratings of each item's neighbors, (n,), stars."""
        rated = np.zeros((len(self.items), 2), np.float32)  # residuals, and ones
        rated[user.rated, 0], rated[user.rated, 1] = user.residuals, 1
        similarity = self.similarity.take(item_idx, axis=0)[:, None, :]
        sums = (similarity @ rated.take(self.neighbors.take(item_idx, axis=0), axis=0))[
            :, 0
        ]  # (n, k) @ (k, 2)
        return np.asarray(sums[:, 0] / (sums[:, 1] + NEIGHBOR_SHRINKAGE), np.float64)

    def interval(self, stars: Doubles, deviation: Doubles) -> tuple[Doubles, Doubles]:
        """The bounds of the 80 % interval, in stars, clipped to the scale."""
        mean, reach = np.clip(stars, MIN_STARS, MAX_STARS), self.width * deviation
        return np.maximum(mean - reach, MIN_STARS), np.minimum(mean + reach, MAX_STARS)

    def prior(self, content: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Rows of `items` and `item_variance` for items without ratings, from content, float32 (n, width)."""
        rows = (with_one(content) @ self.content_map).astype(np.float32)
        return rows, np.broadcast_to(1 / self.item_precision, rows.shape).astype(np.float32)

    def with_ratings(self, item_idx: NDArray[np.integer], count: Doubles, stars: Doubles) -> Self:
        """The model after more ratings of m items by unknown users: (m,), their number and sum of stars.

        The posterior of an item's bias is updated by Bayes' rule. The variance of a rating is that around
        the prediction for a user of whom nothing is known; the factors and other items stay. A negative
        number removes ratings, but no more than make the precision that of an unrated item.
        """
        rows, spread = self.items[item_idx].astype(np.float64), self.item_variance[item_idx, 0]
        bias, rows[:, 0] = rows[:, 0].copy(), 1
        variance = self.noise + (rows**2) @ (1 / self.user_precision.astype(np.float64))
        before = 1 / spread.astype(np.float64)
        after = before + count / variance
        # Variances are float32, so that what was added may not be taken away exactly.
        possible = after > 0.99 * np.minimum(before, self.item_precision[0])
        after = np.where(possible, after, before)
        sums = np.where(possible, (stars - count * self.mean) / variance, 0)
        items, item_variance, known = self.items.copy(), self.item_variance.copy(), self.known.copy()
        items[item_idx, 0] = (before * bias + sums) / after
        item_variance[item_idx, 0] = 1 / after
        known[item_idx] |= count > 0
        return replace(self, items=items, item_variance=item_variance, known=known)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The whole state."""
        names = (
            "user_precision", "items", "item_variance", "item_precision", "content_map", "habits",
            "habit_map", "known", "neighbors", "similarity",
        )  # fmt: skip
        scalars = np.array([self.mean, self.noise, self.width, self.neighbor_weight], np.float64)
        return {"scalars": scalars, **{name: getattr(self, name) for name in names}}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> Self:
        mean, noise, width, *weight = (float(value) for value in arrays["scalars"])
        rest = {name: array for name, array in arrays.items() if name != "scalars"}
        if not weight:  # a model of an earlier release
            rest |= no_neighbors(len(rest["items"]))
        return cls(mean=mean, noise=noise, width=width, neighbor_weight=weight[0] if weight else 0.0, **rest)


def no_neighbors(n_items: int) -> dict[str, NDArray[Any]]:
    """Arrays of a model without neighbors."""
    return {"neighbors": np.zeros((n_items, 0), np.int32), "similarity": np.zeros((n_items, 0), np.float32)}


def with_one(features: NDArray[np.floating]) -> Doubles:
    """Append a constant column, for regression: float64 (n, width + 1)."""
    return np.concatenate([features.astype(np.float64), np.ones((len(features), 1))], axis=1)


def habit(rated: NDArray[np.floating]) -> Doubles:
    """habit_u, float64 (1, width), from the rows of `StarsModel.habits` of the rated items."""
    return np.asarray(rated.sum(axis=0, dtype=np.float64) / max(len(rated), 1) ** 0.5)[None, :]
