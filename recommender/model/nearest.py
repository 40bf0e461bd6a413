"""Nearest-neighbor search: an exact scan of scores for lists, FAISS for similar items."""

from functools import cached_property

import faiss
import numpy as np
import numpy.typing as npt

from recommender.model.content import unit

Floats = npt.NDArray[np.float32]


def top(scores: Floats, m: int) -> npt.NDArray[np.int32]:
    """Return the m best of float32 (n,) scores, best first, ties to the lower index, without scores of -inf.

    The order over all items is exact, so that a shorter list is always the beginning of a longer one.
    """
    if m <= 0:
        return np.empty(0, np.int32)
    if m < scores.size:
        threshold = np.partition(scores, scores.size - m)[scores.size - m]
        candidates = np.flatnonzero((scores >= threshold) & (scores > -np.inf))
    else:
        candidates = np.flatnonzero(scores > -np.inf)
    order = np.lexsort((candidates, -scores[candidates]))
    return candidates[order[:m]].astype(np.int32)


class Neighbors:
    """Similar items by the cosine of concatenated unit vectors; the parts of an item have equal weight."""

    def __init__(self, *parts: Floats) -> None:
        """parts: float32 (n_items, width) each; a row of zeros is unknown in that part."""
        self._parts = parts

    @cached_property
    def _vectors(self) -> Floats:
        return unit(np.concatenate([unit(part) for part in self._parts], axis=1))

    @cached_property
    def _index(self) -> faiss.Index:
        # Half precision: half the memory to read; ranks change only within its rounding.
        width = self._vectors.shape[1]
        index = faiss.IndexScalarQuantizer(width, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
        index.train(self._vectors[:1])
        index.add(self._vectors)
        return index

    def similar(
        self, item_idx: int, *, k: int, allowed: npt.NDArray[np.bool_] | None = None
    ) -> tuple[npt.NDArray[np.int32], Floats]:
        """Items, int32 (m,), and cosines, float32 (m,), nearest first; m = min(k, other allowed items)."""
        mask = np.ones(len(self._vectors), bool) if allowed is None else allowed.copy()
        mask[item_idx] = False
        m = min(k, int(mask.sum()))
        if m <= 0:
            return np.empty(0, np.int32), np.empty(0, np.float32)
        bits = np.packbits(mask, bitorder="little")
        selector = faiss.IDSelectorBitmap(mask.size, faiss.swig_ptr(bits))
        faiss.omp_set_num_threads(1)  # for this thread: a second one costs more than it saves
        params = faiss.SearchParameters(sel=selector)  # type: ignore[call-arg] # missing in the stub
        cosine, found = self._index.search(self._vectors[item_idx : item_idx + 1], m, params=params)
        return found[0].astype(np.int32), cosine[0]
