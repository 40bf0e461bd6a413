"""Truncated singular value decomposition of the likes, with zeros for all other entries (PureSVD).

Cremonesi, Koren and Turrin, "Performance of Recommender Algorithms on Top-N Recommendation Tasks", RecSys
2010, section 3.2: the scores of a user with the likes r are r Q Q^T.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy.sparse.linalg import svds
from threadpoolctl import threadpool_limits

from recommender.interactions import History, Interactions
from recommender.metrics import RELEVANT_STARS
from recommender.scorers.likes import liked, likes
from recommender.scorers.part import Arrays, Floats, ItemIdx, placed

FACTORS = 32
LEAST = 1e-6  # of the largest singular value


@dataclass(frozen=True, slots=True)
class Svd:
    """items: float32 (n_items, factors), the right singular vectors Q."""

    kind: ClassVar[str] = "svd"

    items: Floats

    @classmethod
    def fit(cls, train: Interactions, *, factors: int = FACTORS) -> Self:
        """Fewer factors if the likes have a lower rank; none without likes."""
        ones = likes(train).astype(np.float64)
        k = min(factors, min(ones.shape) - 1)
        if k < 1 or not ones.nnz:
            return cls(np.zeros((train.n_items, 0), np.float32))
        with threadpool_limits(limits=1, user_api="blas"):
            _, values, rows = svds(ones, k=k, v0=np.ones(min(ones.shape)))
        known = values > LEAST * values.max()  # beyond the rank of the likes, vectors are arbitrary
        return cls(np.ascontiguousarray(rows[known].T, np.float32))

    def scores(self, history: History) -> Floats:
        return np.asarray(self.items @ self.items[liked(history)].sum(axis=0), np.float32)

    def effects(self, history: History, item_idx: ItemIdx) -> Floats:
        """Exact: the score is a sum over the liked items."""
        of_likes = (history.stars >= RELEVANT_STARS)[:, None]
        return np.asarray((self.items[history.item_idx] @ self.items[item_idx].T) * of_likes, np.float32)

    def with_items(self, place: npt.NDArray[np.int64], content_vectors: Floats) -> Self:
        return type(self)(placed(self.items, place, len(content_vectors)))

    def arrays(self) -> Arrays:
        return {"items": self.items}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        return cls(arrays["items"])
