"""Non-negative matrix factorization of the likes, by scikit-learn.

Lee and Seung, "Algorithms for Non-negative Matrix Factorization", NIPS 2000, for the least-squares objective;
Cichocki and Phan, 2009, for the coordinate descent. A user is folded in by the non-negative least-squares
solution w of |r - w H|^2 (Lawson and Hanson, 1974, as in scipy).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_triangular
from scipy.optimize import nnls

from recommender.interactions import History
from recommender.scorers.likes import liked
from recommender.scorers.part import Arrays, Floats, ItemIdx, left_out, placed

RIDGE = 1e-6  # of the largest diagonal element, so that a factor without items does not stop the fold-in


@dataclass(frozen=True)
class Nmf:
    """items: float32 (n_items, factors), not negative."""

    kind: ClassVar[str] = "nmf"

    items: Floats

    def scores(self, history: History) -> Floats:
        idx = liked(history)
        if not len(idx) or not self.items.shape[1]:
            return np.zeros(len(self.items), np.float32)
        lower = self._lower
        target = solve_triangular(lower, self.items[idx].sum(axis=0, dtype=np.float64), lower=True)
        user, _ = nnls(lower.T, target)
        return np.asarray(self.items @ user.astype(np.float32), np.float32)

    def effects(self, history: History, item_idx: ItemIdx) -> Floats:
        return left_out(self, history, item_idx)

    @cached_property
    def _lower(self) -> npt.NDArray[np.float64]:
        """The Cholesky factor L of H H^T: |r - w H|^2 = |L^-1 H r - L^T w|^2 + a constant."""
        items = self.items.astype(np.float64)
        gram = items.T @ items
        gram[np.diag_indices_from(gram)] += RIDGE * max(gram.diagonal().max(), 1.0)
        return np.asarray(np.linalg.cholesky(gram))

    def with_items(self, place: npt.NDArray[np.int64], content_vectors: Floats) -> Self:
        return type(self)(placed(self.items, place, len(content_vectors)))

    def arrays(self) -> Arrays:
        return {"items": self.items}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        return cls(arrays["items"])
