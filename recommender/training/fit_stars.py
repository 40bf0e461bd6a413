"""Fit the stars model with compiled half-steps. For training only; serving never imports this module."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_matrix, diags_array
from scipy.sparse.linalg import svds
from threadpoolctl import threadpool_limits

from recommender.interactions import Interactions
from recommender.model.star_ratings import NORMAL_80, Doubles, StarsModel, with_one
from recommender.training.residual_neighbors import residual_neighbors

RIDGE = 1.0  # the weight of one item: rows of content and of habits have a length of about 1
HABIT_RIDGE = 10.0  # the same for users
PLACED_RIDGE = 3.0  # the same for the content of items weighted by their ratings
# Ratings of an item whose prior is half that of its habits and half that of its content alone: few ratings
# can mean an obscure item or a new one. Chosen on validation splits: docs/predictions.md.
OBSCURE = 3.0
HABITS = 32  # singular vectors
NOISE_FLOOR = 0.5**2 / 12  # stars^2: the variance of rounding to half-stars
# Weight of the global noise in the noise of a user. Users whose ratings are hard to predict weigh less in the
# fit of items. Chosen on validation splits of four data sets: docs/predictions.md.
NOISE_RATINGS = 60.0
FIRST_SPREAD = 0.1  # of factors before the first step
FIRST_PRECISION = 1.0  # low: a high precision keeps factors at 0, and then its estimate stays high


@dataclass(slots=True)
class Posterior:
    """Gaussians over the rows of one side, users or items: bias first, then factors."""

    mean: Doubles  # (n, d + 1)
    variance: Doubles  # (n, d + 1)
    prior: Doubles  # (n, d + 1), the prior's mean
    precision: Doubles  # (d + 1,), the prior's

    @classmethod
    def start(cls, n: int, factors: int) -> Self:
        """Start with equal rows of mean 0."""
        shape = (n, factors + 1)
        variance = np.full(shape, FIRST_SPREAD**2)
        return cls(np.zeros(shape), variance, np.zeros(shape), np.full(shape[1], FIRST_PRECISION))

    def update(self, ratings: csr_matrix, mean: float, others: "Posterior", noise: Doubles) -> None:
        """Update the posterior of the rows of `ratings`, given those of its columns and their noise, stars^2.

        Row by row, with x = (1, q) of a column, V its variances and y = stars - mean - b of that column:
        A = diag(precision) + sum (x x' + diag(0, V)) / noise,   A m = precision prior + sum x y / noise.
        """
        _solve_rows(
            ratings.indptr,
            ratings.indices,
            ratings.data - np.float64(mean),
            others.mean,
            others.variance,
            self.prior,
            self.precision,
            noise,
            self.mean,
            self.variance,
        )

    def fit_precision(self, rows: NDArray[np.bool_] | slice = slice(None)) -> None:
        """Set the prior's precision to the most likely one for these rows (empirical Bayes)."""
        away = (self.mean[rows] - self.prior[rows]) ** 2 + self.variance[rows]
        self.precision = 1 / away.mean(axis=0)


def expected_squares(ratings: csr_matrix, mean: float, users: Posterior, items: Posterior) -> Doubles:
    """The sum of expected squared errors over each user's ratings, (n_users,), stars^2."""
    return _expected_squares(
        ratings.indptr,
        ratings.indices,
        ratings.data - np.float64(mean),
        users.mean,
        users.variance,
        items.mean,
        items.variance,
    )


def fit_stars(
    interactions: Interactions,
    content: NDArray[np.float32],
    *,
    factors: int = 16,
    iterations: int = 30,
    rng: np.random.Generator,
    progress: Callable[[float], None] = lambda _fraction: None,
) -> StarsModel:
    """Fit to all ratings; content: float32 (n_items, width), rows of 0 for items without metadata.

    Bitwise deterministic for one state of `rng` and any number of threads. The interval has the width of a
    normal distribution, and neighbors have no weight, until `fit_stars_and_match` fits both. Raises
    ValueError without ratings.
    """
    if not interactions.nnz:
        raise ValueError("the stars model needs at least one rating")
    by_user, by_item = interactions.user_items, csr_matrix(interactions.user_items.T)
    rated = np.diff(by_item.indptr) > 0
    mean = float(by_user.data.mean(dtype=np.float64))
    noise = max(NOISE_FLOOR, float(by_user.data.var(dtype=np.float64)))
    user_noise = np.full(interactions.n_users, noise)
    described = with_one(content)
    of_users, of_items, habits = _habits(by_user)
    described = np.concatenate([described, of_items], axis=1)
    regression = _ridge(described if rated.all() else described[rated], RIDGE)
    user_regression = _ridge(of_users, HABIT_RIDGE)
    users = Posterior.start(interactions.n_users, factors)
    items = Posterior.start(interactions.n_items, factors)
    items.mean += FIRST_SPREAD * rng.standard_normal(items.mean.shape)
    # Rows are solved in parallel; the solve of one row is too small for several BLAS threads.
    with threadpool_limits(limits=1, user_api="blas"):
        for step in range(iterations):
            users.update(by_user, mean, items, np.full(interactions.n_items, noise))
            habit_map = user_regression(users.mean)  # (width + 1, d + 1)
            users.prior = of_users @ habit_map
            users.fit_precision()
            items.update(by_item, mean, users, user_noise)
            items.prior = described @ regression(items.mean[rated])  # (n, width) @ (width, d + 1)
            items.fit_precision(rated)
            squares = expected_squares(by_user, mean, users, items)
            noise = max(NOISE_FLOOR, float(squares.sum()) / by_user.nnz)
            user_noise = (NOISE_RATINGS * noise + squares) / (NOISE_RATINGS + np.diff(by_user.indptr))
            progress((step + 1) / iterations)
        counts = np.diff(by_item.indptr)
        placed_map, placed_precision = _placement(content, items, counts)
        seen = counts[:, None] / (counts[:, None] + OBSCURE)
        items.prior = seen * items.prior + (1 - seen) * (with_one(content) @ placed_map)
        items.update(by_item, mean, users, user_noise)
        users.update(by_user, mean, items, np.full(interactions.n_items, noise))
        neighbors, similarity = residual_neighbors(by_user, mean, users.mean, items.mean)
    items.mean[~rated], items.variance[~rated] = items.prior[~rated], 1 / placed_precision
    single = _single(users, items)
    single |= {
        "item_precision": placed_precision.astype(np.float32),
        "content_map": placed_map.astype(np.float32),
        "habits": habits.astype(np.float32),
        "habit_map": habit_map.astype(np.float32),
    }
    return StarsModel(
        mean=mean,
        noise=noise,
        width=NORMAL_80,
        known=rated | content.any(axis=1),
        neighbors=neighbors,
        similarity=similarity,
        neighbor_weight=0.0,
        **single,
    )


def by_content(content: NDArray[np.float32], counts: NDArray[np.integer]) -> Callable[[Doubles], Doubles]:
    """Return a function of targets, (n_items, m): their ridge regression on content, (width + 1, m).

    counts: ratings of each item, which weigh it, so that the mean of all ratings of new items is predicted
    well instead of the mean of all new items, since most are obscure.
    """
    weights = np.sqrt(counts / counts[counts > 0].mean())[:, None]
    regression = _ridge(with_one(content) * weights, PLACED_RIDGE)
    return lambda targets: regression(targets * weights)


def _placement(
    content: NDArray[np.float32], items: Posterior, counts: NDArray[np.integer]
) -> tuple[Doubles, Doubles]:
    """The prior of items without ratings, whose habits are unknown.

    Returns the map from content to its mean, (width + 1, d + 1), and its precision, (d + 1,).
    """
    placed_map = by_content(content, counts)(items.mean)
    away = (items.mean - with_one(content) @ placed_map) ** 2 + items.variance
    return placed_map, 1 / np.average(away, axis=0, weights=counts)


def _single(users: Posterior, items: Posterior) -> dict[str, NDArray[np.float32]]:
    """The state that serving needs, in single precision."""
    fitted = {
        "user_precision": users.precision,
        "items": items.mean,
        "item_variance": items.variance,
    }
    return {name: array.astype(np.float32) for name, array in fitted.items()}


def _habits(ratings: csr_matrix) -> tuple[Doubles, Doubles, Doubles]:
    """Habits: which items users rated, regardless of stars, from singular vectors of the binary ratings.

    Returns habits of users with a constant column, (n_users, width + 1), of items, (n_items, width), and
    `StarsModel.habits`, (n_items, width). The width is 0 for too few users or items.
    """
    n_users, n_items = ratings.shape
    per_user = np.sqrt(np.maximum(np.diff(ratings.indptr), 1))
    per_item = np.sqrt(np.maximum(np.bincount(ratings.indices, minlength=n_items), 1))
    ones = csr_matrix((np.ones(ratings.nnz), ratings.indices, ratings.indptr), shape=ratings.shape)
    width = min(HABITS, min(ratings.shape) - 1)
    if width < 1:
        return np.ones((n_users, 1)), np.zeros((n_items, 0)), np.zeros((n_items, 0))
    scaled = diags_array(1 / per_user) @ ones @ diags_array(1 / per_item)
    start = np.ones(min(ratings.shape))
    left, values, right = svds(scaled, k=width, v0=start)
    habits = right.T / per_item[:, None]
    of_users = ones @ habits / per_user[:, None]
    size = max(float(of_users.std()) * width**0.5, 1e-12)
    of_items = ones.T @ (left * values / per_user[:, None]) / per_item[:, None]
    rated = np.diff(ones.tocsc().indptr) > 0
    return (
        with_one(of_users / size),
        of_items / max(float(of_items[rated].std()) * width**0.5, 1e-12),
        habits / size,
    )


def _ridge(described: Doubles, strength: float) -> Callable[[Doubles], Doubles]:
    """Return a function of targets, (n, m): their ridge regression (width, m) on `described`, (n, width)."""
    gram = described.T @ described
    gram[np.diag_indices_from(gram)] += strength
    factor = cho_factor(gram, overwrite_a=True)
    return lambda targets: np.asarray(cho_solve(factor, described.T @ targets))


@njit(cache=True, parallel=True)
def _solve_rows(
    indptr: NDArray[Any],
    indices: NDArray[Any],
    centred: Doubles,
    others: Doubles,
    other_variance: Doubles,
    prior: Doubles,
    precision: Doubles,
    noise: Doubles,
    means: Doubles,
    variances: Doubles,
) -> None:
    size = precision.shape[0]
    for row in prange(indptr.shape[0] - 1):
        left = np.zeros((size, size))  # the lower triangle, completed after the last rating
        right = np.zeros(size)
        x = np.empty(size)
        for at in range(indptr[row], indptr[row + 1]):
            column = indices[at]
            target = centred[at] - others[column, 0]
            weight = 1 / noise[column]
            x[0] = 1.0
            for a in range(1, size):
                x[a] = others[column, a]
                left[a, a] += weight * other_variance[column, a]
            for a in range(size):
                weighted = weight * x[a]
                right[a] += weighted * target
                for b in range(a + 1):
                    left[a, b] += weighted * x[b]
        for a in range(size):
            for b in range(a + 1):
                left[b, a] = left[a, b]
            left[a, a] += precision[a]
        covariance = np.linalg.inv(left)
        means[row] = covariance @ (right + precision * prior[row])
        variances[row] = np.diag(covariance)


@njit(cache=True, parallel=True)
def _expected_squares(
    indptr: NDArray[Any],
    indices: NDArray[Any],
    centred: Doubles,
    users: Doubles,
    user_variance: Doubles,
    items: Doubles,
    item_variance: Doubles,
) -> Doubles:
    sums = np.zeros(indptr.shape[0] - 1)
    for row in prange(indptr.shape[0] - 1):
        for at in range(indptr[row], indptr[row + 1]):
            column = indices[at]
            error = centred[at] - users[row, 0] - items[column, 0]
            spread = user_variance[row, 0] + item_variance[column, 0]
            for a in range(1, users.shape[1]):
                p, q = users[row, a], items[column, a]
                v, w = user_variance[row, a], item_variance[column, a]
                error -= p * q
                spread += p * p * w + q * q * v + v * w
            sums[row] += error * error + spread
    return sums
