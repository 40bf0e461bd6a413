"""Stars: how many of five a user would give an item, and how sure that is."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from recommender.interactions import MAX_STARS, MIN_STARS, History

Doubles = NDArray[np.float64]
PRIOR_RATINGS = 10.0  # weight of everyone's noise in one user's
NORMAL_80 = 1.2816  # standard deviations to each side that hold 80 % of a normal


@dataclass(frozen=True, slots=True)
class UserPosterior:
    """One user's posterior, folded in from a history: bias first, then factors, and their covariance."""

    mean: Doubles  # (d + 1,)
    covariance: Doubles  # (d + 1, d + 1)
    noise: float  # variance of the user's own ratings around the prediction, stars^2


@dataclass(frozen=True, slots=True)
class StarsModel:
    """Biased matrix factorization with Gaussian posteriors over users and items.

        stars(u, i) = mean + b_u + b_i + p_u . q_i + noise_u,
        (b_u, p_u) ~ N([habit_u, 1] habit_map, 1 / user_precision),
        (b_i, q_i) ~ N([content_i, 1, habit_i] content_map, 1 / item_precision)

    habit_u says what a user rated whatever the stars, the sum of `habits` over the items of the history over
    the root of their number, and habit_i who rated an item: truncated singular vectors of the matrix of ones,
    its entries over the roots of both counts. SVD++ learns from the same (Koren, KDD 2008).
    Fitted by mean-field variational Bayes, which minimizes the free energy (Lim and Teh, "Variational
    Bayesian Approach to Movie Rating Prediction", KDD Cup 2007); the priors are regressed on content and
    habits as in Agarwal and Chen, "Regression-based Latent Factor Models", KDD 2009. Items are learnt with
    each user's own noise (Lakshminarayanan et al., "Robust Bayesian Matrix Factorisation", AISTATS 2011), a
    user with everyone's, `noise`, in the fit as in `fold_in`. The precisions are learnt too, so that no
    strength of regularization has to be chosen for a data set.
    """

    mean: float
    noise: float  # stars^2
    width: float  # half-width of the 80 % interval in predicted standard deviations
    user_precision: NDArray[np.float32]  # (d + 1,)
    items: NDArray[np.float32]  # (n_items, d + 1), posterior means: bias first, then factors
    item_variance: NDArray[np.float32]  # (n_items, d + 1)
    item_precision: NDArray[np.float32]  # (d + 1,), around the mean that content gives
    content_map: NDArray[np.float32]  # (content width + 1, d + 1), without the rows for habits
    habits: NDArray[np.float32]  # (n_items, habit width)
    habit_map: NDArray[np.float32]  # (habit width + 1, d + 1)
    known: NDArray[np.bool_]  # (n_items,), rated in training or with content

    def fold_in(self, history: History) -> UserPosterior:
        """The user's posterior given the items' means and variances; the prior with an empty history."""
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
        squares = float(((target - items @ mean) ** 2).sum())
        return UserPosterior(
            mean, covariance, (PRIOR_RATINGS * self.noise + squares) / (PRIOR_RATINGS + len(idx))
        )

    def predict(self, user: UserPosterior, item_idx: NDArray[np.integer]) -> tuple[Doubles, Doubles]:
        """Mean, not yet clipped to the scale, and standard deviation, both in stars and float64 (n,).

        The mean is nan for items with neither ratings nor content.
        """
        items = self.items[item_idx].astype(np.float64)
        spread = self.item_variance[item_idx].astype(np.float64)
        bias = items[:, 0].copy()
        items[:, 0] = 1
        stars = self.mean + bias + items @ user.mean
        stars[~self.known[item_idx]] = np.nan
        second_moment = user.mean**2 + np.diag(user.covariance)
        second_moment[0] = 1  # the item's own bias stands alone
        variance = user.noise + spread @ second_moment
        variance += np.einsum("nd,de,ne->n", items, user.covariance, items)
        return stars, np.sqrt(variance)

    def interval(self, stars: Doubles, deviation: Doubles) -> tuple[Doubles, Doubles]:
        """Bounds that hold the rating in 80 % of cases, on the scale of stars."""
        centre, reach = np.clip(stars, MIN_STARS, MAX_STARS), self.width * deviation
        return np.maximum(centre - reach, MIN_STARS), np.minimum(centre + reach, MAX_STARS)

    def prior(self, content: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Rows of `items` and `item_variance` for items that nobody has rated, from content (n, width)."""
        rows = (with_one(content) @ self.content_map).astype(np.float32)
        return rows, np.broadcast_to(1 / self.item_precision, rows.shape).astype(np.float32)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The whole state."""
        names = (
            "user_precision", "items", "item_variance", "item_precision", "content_map", "habits",
            "habit_map", "known",
        )  # fmt: skip
        scalars = np.array([self.mean, self.noise, self.width], np.float64)
        return {"scalars": scalars, **{name: getattr(self, name) for name in names}}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> Self:
        mean, noise, width = (float(value) for value in arrays["scalars"])
        rest = {name: array for name, array in arrays.items() if name != "scalars"}
        return cls(mean=mean, noise=noise, width=width, **rest)


def with_one(features: NDArray[np.floating]) -> Doubles:
    """(n, width + 1) float64: rows with a constant, for regression."""
    return np.concatenate([features.astype(np.float64), np.ones((len(features), 1))], axis=1)


def habit(rated: NDArray[np.floating]) -> Doubles:
    """(1, width) float64, from the rows of `StarsModel.habits` of what a user has rated."""
    return np.asarray(rated.sum(axis=0, dtype=np.float64) / max(len(rated), 1) ** 0.5)[None, :]
