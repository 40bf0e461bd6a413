"""Explicit wishes in scores: constants added to items, in standard deviations of the scores."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def steer(scores: Floats, added: Floats | None) -> None:
    """Add `added`, float32 (n_items,), to `scores`, float32 (n_items,), in standard deviations of the scores.

    The deviation is that of the scores of one list, so that a wish has the same effect on models of every
    kind. It does not fade while the history grows.
    """
    if added is not None and scores.size:
        scores += added * np.float32(scores.std(dtype=np.float64))
