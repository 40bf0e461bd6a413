"""A list that repeats itself less: maximal marginal relevance, over windows so that pages fit together."""

from collections import deque

import numpy as np
import numpy.typing as npt
from scipy import sparse

Floats = npt.NDArray[np.float32]

WINDOW = 300  # a film may move within its window, never out of it
MEMORY = 24  # films above a window that its first picks still keep away from
CAP = 2  # films of one franchise or director among any MEMORY + 1 in a row, while there are others
EXCESS = np.float32(2)  # what a film beyond the cap loses; relevance and likeness lie within -1..1


def mmr(
    scores: Floats, vectors: Floats, makers: sparse.csr_matrix, *, diversity: float, k: int
) -> npt.NDArray[np.intp]:
    """Positions of the first k of n candidates, best first.

    scores: float32 (n,), descending. vectors: float32 (n, width), rows of length 1 or 0. makers: csr of ones
    (n, n_makers), each film's franchise and directors. Within a window each pick maximises (1 - diversity)
    relevance - diversity max cosine to the films already picked (Carbonell and Goldstein, SIGIR 1998),
    relevance being the score scaled to 0..1 over the window; films of a maker that has its CAP wait. The
    first j of a k-list are the j-list, where candidates fill whole windows or are all there are. ValueError
    for a bad diversity.
    """
    if not 0 <= diversity <= 1:
        raise ValueError(f"diversity must lie between 0 and 1, not {diversity}")
    k = min(k, len(scores))
    if diversity == 0:
        return np.arange(k)
    picked = np.empty(k, np.intp)
    share = np.float32(diversity)
    recent = _Recent(makers)
    for start in range(0, k, WINDOW):
        window = slice(start, start + WINDOW)
        looks = vectors[window]
        before = vectors[picked[max(0, start - MEMORY) : start]]
        relevance = (1 - share) * _scaled(scores[window])
        nearest = (looks @ before.T).max(axis=1) if len(before) else np.full(len(looks), -1, np.float32)
        for place in range(start, min(start + WINDOW, k)):
            worth = relevance - share * nearest
            if recent.full:
                worth -= EXCESS * recent.crowded(window)
            best = int(worth.argmax())
            picked[place] = start + best
            relevance[best] = -np.inf
            np.maximum(nearest, looks @ looks[best], out=nearest)  # (n, width) @ (width,)
            recent.add(start + best)
    return picked


def _scaled(scores: Floats) -> Floats:
    low, high = scores[-1], scores[0]
    return np.asarray((scores - low) / max(high - low, np.float32(1e-9)), np.float32)


class _Recent:
    """How often each maker stands among the last MEMORY films of a list."""

    def __init__(self, makers: sparse.csr_matrix) -> None:
        self._makers = makers
        self._counts = np.zeros(makers.shape[1], np.int32)
        self._picks: deque[npt.NDArray[np.int32]] = deque()
        self.full: set[int] = set()  # makers that have their CAP

    def add(self, film: int) -> None:
        """A film joins the list, and the one MEMORY places above is forgotten."""
        self._picks.append(self._makers.indices[self._makers.indptr[film] : self._makers.indptr[film + 1]])
        self._count(self._picks[-1], 1)
        if len(self._picks) > MEMORY:
            self._count(self._picks.popleft(), -1)

    def crowded(self, window: slice) -> Floats:
        """float32 (n,): 1 for the window's films of makers that have their CAP."""
        held = np.zeros(len(self._counts), np.float32)
        held[list(self.full)] = 1
        return np.asarray(np.minimum(self._makers[window] @ held, 1), np.float32)

    def _count(self, makers: npt.NDArray[np.int32], change: int) -> None:
        for maker in makers.tolist():
            self._counts[maker] += change
            (self.full.add if self._counts[maker] >= CAP else self.full.discard)(maker)
