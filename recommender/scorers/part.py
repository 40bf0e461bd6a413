"""The protocol of a scorer's own part, and what several of them share."""

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.interactions import History
from recommender.model.explain import NAMED_STARS

Floats = npt.NDArray[np.float32]
ItemIdx = npt.NDArray[np.int32]
Arrays = Mapping[str, npt.NDArray[Any]]

MEASURED = 30  # liked items of a history whose effects are measured by leaving each out: the newest


class Part(Protocol):
    """Raw scores of all items for a history, by one published method.

    It has no state of single histories and is immutable, so that threads can share it.
    """

    kind: ClassVar[str]

    def scores(self, history: History) -> Floats:
        """Finite raw scores, float32 (n_items,), a new array; all equal if the history says nothing."""
        ...

    def effects(self, history: History, item_idx: ItemIdx) -> Floats:
        """The decrease of the raw score of each of m items without each item of the history, (n, m)."""
        ...

    def with_items(self, place: npt.NDArray[np.int64], content_vectors: Floats) -> Self:
        """The part for a longer catalog, in which the former items have the positions `place`, (n_before,).

        content_vectors: float32 (n_items, width), of the longer catalog.
        """
        ...

    def arrays(self) -> Arrays:
        """The state by name, for the artifact."""
        ...

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """The inverse of `arrays`."""
        ...


def left_out(part: Part, history: History, item_idx: ItemIdx) -> Floats:
    """Measure effects by leaving out each of the MEASURED newest liked items, float32 (n, m).

    The effects of the others are 0: no reason names them.
    """
    effects = np.zeros((len(history), len(item_idx)), np.float32)
    liked = np.flatnonzero(history.stars >= NAMED_STARS)
    newest = liked[np.argsort(-history.timestamps[liked], kind="stable")[:MEASURED]]
    if newest.size:
        whole = part.scores(history)[item_idx]
        for row in newest.tolist():
            effects[row] = whole - part.scores(history.without(int(history.item_idx[row])))[item_idx]
    return effects


def placed(before: npt.NDArray[Any], place: npt.NDArray[np.int64], n_items: int) -> npt.NDArray[Any]:
    """Move the rows of items, (n_before, ...), to their positions: (n_items, ...), 0 for new items."""
    after = np.zeros((n_items, *before.shape[1:]), before.dtype)
    after[place] = before
    return after


def placed_columns(
    before: sparse.csr_matrix, place: npt.NDArray[np.int64], n_items: int
) -> sparse.csr_matrix:
    """Move the columns of items to their positions: csr (n_rows, n_items)."""
    parts = before.data, place[before.indices].astype(np.int32), before.indptr
    return sparse.csr_matrix(parts, shape=(before.shape[0], n_items))


def csr_arrays(matrix: sparse.csr_matrix) -> dict[str, npt.NDArray[Any]]:
    """A csr matrix as arrays; the inverse is `csr_of`."""
    shape = np.array(matrix.shape, np.int64)
    return {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr, "shape": shape}


def csr_of(arrays: Arrays) -> sparse.csr_matrix:
    shape = tuple(int(n) for n in arrays["shape"])
    return sparse.csr_matrix((arrays["data"], arrays["indices"], arrays["indptr"]), shape=shape)
