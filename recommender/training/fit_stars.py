"""Fit the stars model. For training only; serving never imports this module."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_matrix, diags_array
from scipy.sparse.linalg import svds
from threadpoolctl import threadpool_limits

from recommender.interactions import Interactions
from recommender.model.match import OBSCURE
from recommender.model.star_ratings import NORMAL_80, Doubles, StarsModel, with_one
from recommender.training.posteriors import FIRST_SPREAD, Posterior, expected_squares
from recommender.training.residual_neighbors import residual_neighbors

RIDGE = 1.0  # the weight of one item: rows of content and of habits have a length of about 1
HABIT_RIDGE = 10.0  # the same for users
PLACED_RIDGE = 3.0  # the same for the content of items weighted by their ratings
HABITS = 32  # singular vectors
NOISE_FLOOR = 0.5**2 / 12  # stars^2: the variance of rounding to half-stars
# Weight of the global noise in the noise of a user. Users whose ratings are hard to predict weigh less in the
# fit of items. Chosen on validation splits of four data sets: docs/predictions.md.
NOISE_RATINGS = 60.0


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
    fit, habits = _Fit.start(interactions, content, factors, rng)
    # Rows are solved in parallel; the solve of one row is too small for several BLAS threads.
    with threadpool_limits(limits=1, user_api="blas"):
        for step in range(iterations):
            fit.step()
            progress((step + 1) / iterations)
        placed_map, placed_precision = fit.place(content)
        neighbors, similarity = residual_neighbors(fit.by_user, fit.mean, fit.users.mean, fit.items.mean)
    unrated = ~fit.rated
    fit.items.mean[unrated], fit.items.variance[unrated] = fit.items.prior[unrated], 1 / placed_precision
    fitted = {"item_precision": placed_precision, "content_map": placed_map, "habits": habits}
    return StarsModel(
        mean=fit.mean,
        noise=fit.noise,
        width=NORMAL_80,
        known=fit.rated | content.any(axis=1),
        neighbors=neighbors,
        similarity=similarity,
        neighbor_weight=0.0,
        **{name: array.astype(np.float32) for name, array in (fitted | fit.arrays()).items()},
    )


@dataclass(slots=True)
class _Fit:
    """The state of a fit: the posteriors of users and items, their priors, and the noise, stars^2.

    described: what the prior of items is regressed on, (n_items, width); of_users: the same for users.
    """

    by_user: csr_matrix
    by_item: csr_matrix
    mean: float
    rated: NDArray[np.bool_]
    described: Doubles
    of_users: Doubles
    regression: Callable[[Doubles], Doubles]
    user_regression: Callable[[Doubles], Doubles]
    users: Posterior
    items: Posterior
    noise: float
    user_noise: Doubles
    habit_map: Doubles  # (width + 1, d + 1)

    @classmethod
    def start(
        cls, interactions: Interactions, content: NDArray[np.float32], factors: int, rng: np.random.Generator
    ) -> tuple[Self, Doubles]:
        """The state before the first step, and `StarsModel.habits`."""
        by_user, by_item = interactions.user_items, csr_matrix(interactions.user_items.T)
        rated = np.diff(by_item.indptr) > 0
        noise = max(NOISE_FLOOR, float(by_user.data.var(dtype=np.float64)))
        of_users, of_items, habits = _habits(by_user)
        described = np.concatenate([with_one(content), of_items], axis=1)
        items = Posterior.start(interactions.n_items, factors)
        items.mean += FIRST_SPREAD * rng.standard_normal(items.mean.shape)
        state = cls(
            by_user=by_user,
            by_item=by_item,
            mean=float(by_user.data.mean(dtype=np.float64)),
            rated=rated,
            described=described,
            of_users=of_users,
            regression=_ridge(described if rated.all() else described[rated], RIDGE),
            user_regression=_ridge(of_users, HABIT_RIDGE),
            users=Posterior.start(interactions.n_users, factors),
            items=items,
            noise=noise,
            user_noise=np.full(interactions.n_users, noise),
            habit_map=np.zeros((of_users.shape[1], factors + 1)),
        )
        return state, habits

    def step(self) -> None:
        """Update users, items and noise once."""
        self.update_users()
        self.habit_map = self.user_regression(self.users.mean)
        self.users.prior = self.of_users @ self.habit_map
        self.users.fit_precision()
        self.items.update(self.by_item, self.mean, self.users, self.user_noise)
        item_map = self.regression(self.items.mean[self.rated])  # (width, d + 1)
        self.items.prior = self.described @ item_map
        self.items.fit_precision(self.rated)
        squares = expected_squares(self.by_user, self.mean, self.users, self.items)
        self.noise = max(NOISE_FLOOR, float(squares.sum()) / self.by_user.nnz)
        counts = np.diff(self.by_user.indptr)
        self.user_noise = (NOISE_RATINGS * self.noise + squares) / (NOISE_RATINGS + counts)

    def place(self, content: NDArray[np.float32]) -> tuple[Doubles, Doubles]:
        """Move the prior of items with few ratings toward that of new items, and update both sides.

        Returns the results of `_placement`.
        """
        counts = np.diff(self.by_item.indptr)
        placed_map, placed_precision = _placement(content, self.items, counts)
        seen = counts[:, None] / (counts[:, None] + OBSCURE)
        self.items.prior = seen * self.items.prior + (1 - seen) * (with_one(content) @ placed_map)
        self.items.update(self.by_item, self.mean, self.users, self.user_noise)
        self.update_users()
        return placed_map, placed_precision

    def arrays(self) -> dict[str, Doubles]:
        """The part of the state that serving needs."""
        return {
            "user_precision": self.users.precision,
            "items": self.items.mean,
            "item_variance": self.items.variance,
            "habit_map": self.habit_map,
        }

    def update_users(self) -> None:
        noise = np.full(self.by_item.shape[0], self.noise)
        self.users.update(self.by_user, self.mean, self.items, noise)


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
