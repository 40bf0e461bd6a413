"""Diversify a list by maximal marginal relevance, in windows so that pages are consistent."""

from collections import deque

import numpy as np
import numpy.typing as npt
from scipy import sparse

Floats = npt.NDArray[np.float32]

WINDOW = 300  # items move only within their window
MEMORY = 24  # previous picks that each pick is compared with, those of the window before included
CAP = 2  # items of one franchise or director among any MEMORY + 1 in a row, while others are left
EXCESS = np.float32(3)  # penalty beyond the cap; relevance and similarity are within -1.5..1
# Chosen on validation splits of several sets: docs/recommender.md.
STEEPNESS = 12.0  # square root of the rank at which relevance has decreased by 1, the range of similarity
FATIGUE = np.float32(0.3)  # subtracted from scores, in standard deviations, times log(1 + impressions)
PROTECTED = 10  # places over which the weight of similarity rises to its full value
# Cosines are scaled so that those of the first MEASURED candidates have a deviation of SPREAD, because
# content of genres alone has larger ones than that of keywords and people.
MEASURED, SPREAD, LEAST_SPREAD = 60, np.float32(0.26), np.float32(0.05)


def discount_impressions(scores: Floats, shown: Floats | None) -> None:
    """Lower scores, float32 (n_items,), by the impressions without engagement, float32 (n_items,) or None."""
    if shown is not None:
        scores -= FATIGUE * np.log1p(shown)


def mmr(
    scores: Floats, vectors: Floats, makers: sparse.csr_matrix, *, diversity: float, k: int
) -> npt.NDArray[np.intp]:
    """Return the positions of the first k of n candidates, best first.

    scores: float32 (n,), descending. vectors: float32 (n, width), rows of length 1 or 0. makers: csr of ones
    (n, n_makers), the franchise and directors of each item.

    Within a window each pick maximizes (1 - diversity) relevance - diversity mean cosine to the last MEMORY
    picks: maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998) with the mean instead of the
    maximum. Relevance is -root(rank in the window) / STEEPNESS. Cosines are scaled to SPREAD. Their weight
    rises over the first PROTECTED places. Items of a maker with CAP recent items are deferred. The first j of
    a k-list are the j-list if the candidates fill whole windows or are all items. Raises ValueError for a bad
    diversity.
    """
    if not 0 <= diversity <= 1:
        raise ValueError(f"diversity must lie between 0 and 1, not {diversity}")
    k = min(k, len(scores))
    if diversity == 0:
        return np.arange(k)
    picked = np.empty(k, np.intp)
    recent = _Recent(makers)
    scale = float(SPREAD / _spread(vectors[:MEASURED]))
    for start in range(0, k, WINDOW):
        window = slice(start, min(start + WINDOW, k))
        before = [vectors[item] for item in picked[max(0, start - MEMORY) : start]]
        picked[window] = _of_window(vectors, window, before, recent, diversity=diversity, scale=scale)
    return picked


def _of_window(
    vectors: Floats, window: slice, before: list[Floats], recent: "_Recent", *, diversity: float, scale: float
) -> list[int]:
    """The picks of one window, from its candidates. before: the vectors of the last picks; see `mmr`."""
    candidates = vectors[window.start : window.start + WINDOW]
    similarity = deque(candidates @ vector for vector in before)
    total = np.sum(similarity, axis=0) if similarity else np.zeros(len(candidates), np.float32)
    ranks = np.arange(len(candidates), dtype=np.float32)
    worth_of_rank = np.sqrt(ranks) * np.float32((diversity - 1) / STEEPNESS)
    picks = []
    for place in range(window.start, window.stop):
        share = scale * diversity * min(1, place / PROTECTED) / max(len(similarity), 1)
        worth = worth_of_rank - np.float32(share) * total
        if recent.full:
            worth -= EXCESS * recent.crowded(slice(window.start, window.start + WINDOW))
        best = int(worth.argmax())
        picks.append(window.start + best)
        worth_of_rank[best] = -np.inf
        similarity.append(candidates @ candidates[best])  # (n, width) @ (width,)
        total += similarity[-1]
        if len(similarity) > MEMORY:
            total -= similarity.popleft()
        recent.add(picks[-1])
    return picks


def _spread(vectors: Floats) -> np.float32:
    """The standard deviation of the cosines of n vectors with each other, at least LEAST_SPREAD."""
    cosines = (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)]
    return max(np.float32(cosines.std()), LEAST_SPREAD) if cosines.size else SPREAD


class _Recent:
    """Counts of the makers of the last MEMORY items of a list."""

    def __init__(self, makers: sparse.csr_matrix) -> None:
        self._makers = makers
        self._counts = np.zeros(makers.shape[1], np.int32)
        self._picks: deque[npt.NDArray[np.int32]] = deque()
        self.full: set[int] = set()  # makers with CAP items or more

    def add(self, item: int) -> None:
        """Add an item of the list and drop the one MEMORY places before it."""
        self._picks.append(self._makers.indices[self._makers.indptr[item] : self._makers.indptr[item + 1]])
        self._count(self._picks[-1], 1)
        if len(self._picks) > MEMORY:
            self._count(self._picks.popleft(), -1)

    def crowded(self, window: slice) -> Floats:
        """1 for items of the window by makers in `full`, else 0: float32 (n,)."""
        held = np.zeros(len(self._counts), np.float32)
        held[list(self.full)] = 1
        return np.asarray(np.minimum(self._makers[window] @ held, 1), np.float32)

    def _count(self, makers: npt.NDArray[np.int32], change: int) -> None:
        for maker in makers.tolist():
            self._counts[maker] += change
            (self.full.add if self._counts[maker] >= CAP else self.full.discard)(maker)
