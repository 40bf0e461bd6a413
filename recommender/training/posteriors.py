"""Gaussian posteriors of the stars model, updated row by row in compiled code. For training only."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recommender.model.star_ratings import Doubles

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
