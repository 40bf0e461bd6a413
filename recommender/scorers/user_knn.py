"""User-based k-nearest neighbors by Pearson correlation.

Resnick et al., "GroupLens: An Open Architecture for Collaborative Filtering of Netnews", CSCW 1994, for the
correlation over the items that both users rated. Herlocker et al., "An Algorithmic Framework for Performing
Collaborative Filtering", SIGIR 1999, for the weight of correlations over few items and the number of
neighbors. The weighted sum is not divided by the sum of weights, which lists need: Cremonesi, Koren and
Turrin, RecSys 2010, section 3.1.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from recommender.interactions import History, Interactions
from recommender.scorers.part import Arrays, Floats, ItemIdx, csr_arrays, csr_of, left_out, placed_columns

NEIGHBORS = 50
TRUSTED = 50  # common items from which a correlation has its full weight
MIN_COMMON = 2


@dataclass(frozen=True, slots=True)
class UserKnn:
    """ratings: csr float32 (n_users, n_items), each user's stars minus the user's mean.

    raters: its transpose as csr. neighbors: users whose ratings are summed.
    """

    kind: ClassVar[str] = "user-knn"

    ratings: csr_matrix
    raters: csr_matrix
    neighbors: int = NEIGHBORS

    @classmethod
    def fit(cls, train: Interactions, *, neighbors: int = NEIGHBORS) -> Self:
        stars = train.user_items
        counts = np.diff(stars.indptr)
        owner = np.repeat(np.arange(train.n_users), counts)
        means = np.bincount(owner, stars.data, train.n_users) / np.maximum(counts, 1)
        parts = (stars.data - means[owner]).astype(np.float32), stars.indices, stars.indptr
        ratings = csr_matrix(parts, shape=stars.shape)
        return cls(ratings, ratings.T.tocsr(), neighbors)

    def scores(self, history: History) -> Floats:
        weights = self._weights(history)
        n = min(self.neighbors, weights.size)
        nearest = np.argpartition(-weights, n - 1)[:n] if n else np.empty(0, np.int64)
        nearest = np.sort(nearest[weights[nearest] > 0])
        return np.asarray(self.ratings[nearest].T @ weights[nearest].astype(np.float32), np.float32)

    def _weights(self, history: History) -> npt.NDArray[np.float64]:
        """The correlation with each user times min(n, TRUSTED) / TRUSTED, float64 (n_users,)."""
        rows = self.raters[history.item_idx]
        users, n_users = rows.indices, self.ratings.shape[0]
        own, other = np.repeat(history.stars, np.diff(rows.indptr)).astype(np.float64), rows.data

        def total(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
            return np.bincount(users, values, n_users).astype(np.float64)

        common = np.bincount(users, minlength=n_users)
        n = np.maximum(common, 1)
        sum_own, sum_other = total(own), total(other)
        covariance = total(own * other) - sum_own * sum_other / n
        squares = (total(own * own) - sum_own**2 / n) * (total(other * other) - sum_other**2 / n)
        known = (common >= MIN_COMMON) & (squares > 1e-9)  # noqa: PLR2004 - rounding of equal ratings
        correlation = np.where(known, covariance / np.sqrt(np.where(known, squares, 1)), 0)
        return np.asarray(correlation * np.minimum(common, TRUSTED) / TRUSTED, np.float64)

    def effects(self, history: History, item_idx: ItemIdx) -> Floats:
        return left_out(self, history, item_idx)

    def with_items(self, place: npt.NDArray[np.int64], content_vectors: Floats) -> Self:
        ratings = placed_columns(self.ratings, place, len(content_vectors))
        return type(self)(ratings, ratings.T.tocsr(), self.neighbors)

    def arrays(self) -> Arrays:
        both = {"ratings": self.ratings, "raters": self.raters}
        named = {
            f"{of}_{name}": array for of, matrix in both.items() for name, array in csr_arrays(matrix).items()
        }
        return {**named, "neighbors": np.array([self.neighbors], np.int64)}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        def matrix(of: str) -> csr_matrix:
            start = f"{of}_"
            return csr_of(
                {name.removeprefix(start): a for name, a in arrays.items() if name.startswith(start)}
            )

        return cls(matrix("ratings"), matrix("raters"), int(arrays["neighbors"][0]))
