"""A list that repeats itself less: maximal marginal relevance, over windows so that pages fit together."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

WINDOW = 300  # a film may move within its window, never out of it
MEMORY = 24  # films above a window that its first picks still keep away from


def mmr(scores: Floats, vectors: Floats, *, diversity: float, k: int) -> npt.NDArray[np.intp]:
    """Positions of the first k of n candidates, best first.

    scores: float32 (n,), descending. vectors: float32 (n, width), rows of length 1 or 0. Within a window each
    pick maximises (1 - diversity) relevance - diversity max cosine to the films already picked (Carbonell and
    Goldstein, SIGIR 1998), relevance being the score scaled to 0..1 over the window. The first j of a k-list
    are the j-list, where candidates fill whole windows or are all there are. ValueError for a bad diversity.
    """
    if not 0 <= diversity <= 1:
        raise ValueError(f"diversity must lie between 0 and 1, not {diversity}")
    k = min(k, len(scores))
    if diversity == 0:
        return np.arange(k)
    picked = np.empty(k, np.intp)
    for start in range(0, k, WINDOW):
        window = slice(start, start + WINDOW)
        before = vectors[picked[max(0, start - MEMORY) : start]]
        wanted = min(WINDOW, k - start)
        picked[start : start + wanted] = start + _window(
            scores[window], vectors[window], before, diversity, wanted
        )
    return picked


def _window(
    scores: Floats, vectors: Floats, before: Floats, diversity: float, wanted: int
) -> npt.NDArray[np.intp]:
    low, high = scores[-1], scores[0]
    relevance = np.float32(1 - diversity) * (scores - low) / max(high - low, np.float32(1e-9))
    nearest = (vectors @ before.T).max(axis=1) if len(before) else np.full(len(scores), -1, np.float32)
    picked = np.empty(wanted, np.intp)
    for place in range(wanted):
        best = int((relevance - np.float32(diversity) * nearest).argmax())
        picked[place] = best
        relevance[best] = -np.inf
        np.maximum(nearest, vectors @ vectors[best], out=nearest)  # (n, width) @ (width,)
    return picked
