"""Item-based k-nearest neighbors by the cosine of the items' users.

Deshpande and Karypis, "Item-Based Top-N Recommendation Algorithms", TOIS 2004, section 4.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix, diags_array, vstack

from recommender.interactions import History, Interactions
from recommender.metrics import RELEVANT_STARS
from recommender.scorers.likes import liked, likes
from recommender.scorers.part import Arrays, Floats, ItemIdx, csr_arrays, csr_of

NEIGHBORS = 100
BLOCK = 2048  # items whose similarities are computed densely at once


@dataclass(frozen=True, slots=True)
class ItemKnn:
    """similar: csr float32 (n_items, n_items), the largest cosines of each row."""

    kind: ClassVar[str] = "item-knn"

    similar: csr_matrix

    @classmethod
    def fit(cls, train: Interactions, *, neighbors: int = NEIGHBORS) -> Self:
        ones = likes(train)
        counts = np.bincount(ones.indices, minlength=train.n_items)
        unit = (ones @ diags_array(1 / np.sqrt(np.maximum(counts, 1)))).tocsc()
        kept = [_largest((unit[:, start : start + BLOCK].T @ unit).toarray(), start, neighbors)
                for start in range(0, train.n_items, BLOCK)]  # fmt: skip
        return cls(vstack(kept, format="csr", dtype=np.float32))

    def scores(self, history: History) -> Floats:
        return np.asarray(self.similar[liked(history)].sum(axis=0), np.float32).ravel()

    def effects(self, history: History, item_idx: ItemIdx) -> Floats:
        """Exact: the score is a sum over the liked items."""
        of_likes = (history.stars >= RELEVANT_STARS)[:, None]
        return np.asarray(self.similar[history.item_idx][:, item_idx].toarray() * of_likes, np.float32)

    def with_items(self, place: npt.NDArray[np.int64], content_vectors: Floats) -> Self:
        n_items = len(content_vectors)
        sizes = np.zeros(n_items, np.int64)
        sizes[place] = np.diff(self.similar.indptr)
        indptr = np.concatenate(([0], np.cumsum(sizes)))
        parts = self.similar.data, place[self.similar.indices].astype(np.int32), indptr
        return type(self)(csr_matrix(parts, shape=(n_items, n_items)))

    def arrays(self) -> Arrays:
        return csr_arrays(self.similar)

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        return cls(csr_of(arrays))


def _largest(similar: Floats, start: int, kept: int) -> csr_matrix:
    """Keep the `kept` largest positive entries of each row, except the item itself, column row + start."""
    rows = np.arange(len(similar))
    similar[rows, rows + start] = 0
    kept = min(kept, similar.shape[1])
    columns = np.argpartition(-similar, kept - 1, axis=1)[:, :kept]
    values = np.take_along_axis(similar, columns, axis=1)
    place = np.repeat(rows, kept)
    chosen = values.ravel() > 0
    return csr_matrix((values.ravel()[chosen], (place[chosen], columns.ravel()[chosen])), shape=similar.shape)
