"""A list that repeats itself less: maximal marginal relevance, over windows so that pages fit together."""

from collections import deque

import numpy as np
import numpy.typing as npt
from scipy import sparse

Floats = npt.NDArray[np.float32]

WINDOW = 300  # an item may move within its window, never out of it
MEMORY = 24  # items above a window that its first picks still keep away from
CAP = 2  # items of one franchise or director among any MEMORY + 1 in a row, while there are others
EXCESS = np.float32(3)  # what an item beyond the cap loses; relevance and likeness lie within -1.5..1
# Chosen on validation splits of several sets: docs/recommender.md.
STEEPNESS = 12.0  # the root of a rank at which relevance has fallen as far as likeness can
PROTECTED = 10  # places over which likeness comes to count whole: the first place is worth most


def mmr(
    scores: Floats, vectors: Floats, makers: sparse.csr_matrix, *, diversity: float, k: int
) -> npt.NDArray[np.intp]:
    """Positions of the first k of n candidates, best first.

    scores: float32 (n,), descending. vectors: float32 (n, width), rows of length 1 or 0. makers: csr of ones
    (n, n_makers), each item's franchise and directors. Within a window each pick maximizes (1 - diversity)
    relevance - diversity mean cosine to the last MEMORY items picked: maximal marginal relevance (Carbonell
    and Goldstein, SIGIR 1998) with the mean for the maximum, relevance being -root(rank in the window) /
    STEEPNESS, and likeness coming in over the first PROTECTED places. Items of a maker that has its CAP wait.
    The first j of a k-list are the j-list, where candidates fill whole windows or are all there are.
    ValueError for a bad diversity.
    """
    if not 0 <= diversity <= 1:
        raise ValueError(f"diversity must lie between 0 and 1, not {diversity}")
    k = min(k, len(scores))
    if diversity == 0:
        return np.arange(k)
    picked = np.empty(k, np.intp)
    recent = _Recent(makers)
    for start in range(0, k, WINDOW):
        window = slice(start, start + WINDOW)
        looks = vectors[window]
        likeness = deque(looks @ vectors[item] for item in picked[max(0, start - MEMORY) : start])
        total = np.sum(likeness, axis=0) if likeness else np.zeros(len(looks), np.float32)
        worth_of_rank = np.sqrt(np.arange(len(looks), dtype=np.float32)) * np.float32(
            (diversity - 1) / STEEPNESS
        )
        for place in range(start, min(start + WINDOW, k)):
            share = diversity * min(1, place / PROTECTED) / max(len(likeness), 1)
            worth = worth_of_rank - np.float32(share) * total
            if recent.full:
                worth -= EXCESS * recent.crowded(window)
            best = int(worth.argmax())
            picked[place] = start + best
            worth_of_rank[best] = -np.inf
            likeness.append(looks @ looks[best])  # (n, width) @ (width,)
            total += likeness[-1]
            if len(likeness) > MEMORY:
                total -= likeness.popleft()
            recent.add(start + best)
    return picked


class _Recent:
    """How often each maker stands among the last MEMORY items of a list."""

    def __init__(self, makers: sparse.csr_matrix) -> None:
        self._makers = makers
        self._counts = np.zeros(makers.shape[1], np.int32)
        self._picks: deque[npt.NDArray[np.int32]] = deque()
        self.full: set[int] = set()  # makers that have their CAP

    def add(self, item: int) -> None:
        """An item joins the list, and the one MEMORY places above is forgotten."""
        self._picks.append(self._makers.indices[self._makers.indptr[item] : self._makers.indptr[item + 1]])
        self._count(self._picks[-1], 1)
        if len(self._picks) > MEMORY:
            self._count(self._picks.popleft(), -1)

    def crowded(self, window: slice) -> Floats:
        """float32 (n,): 1 for the window's items of makers that have their CAP."""
        held = np.zeros(len(self._counts), np.float32)
        held[list(self.full)] = 1
        return np.asarray(np.minimum(self._makers[window] @ held, 1), np.float32)

    def _count(self, makers: npt.NDArray[np.int32], change: int) -> None:
        for maker in makers.tolist():
            self._counts[maker] += change
            (self.full.add if self._counts[maker] >= CAP else self.full.discard)(maker)
