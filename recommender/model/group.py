"""Group aggregation: one score for several members."""

import numpy as np
import numpy.typing as npt

MISERY = 0.5


def aggregate_scores(scores: npt.NDArray[np.float32], misery: float = MISERY) -> npt.NDArray[np.float32]:
    """Aggregate the scores of m members into one score for each of n items, float32 (n,).

    scores: float32 (m, n), comparable among members. Returns (1 - misery) mean + misery minimum: the average
    mixed with "least misery" (O'Connor et al., "PolyLens: A Recommender System for Groups of Users", ECSCW
    2001; compared with other strategies by Masthoff, "Group Recommender Systems", 2015). With the average
    alone a majority overrules one member on every item; with least misery alone each member has a veto.
    Raises ValueError without members.
    """
    if not len(scores):
        raise ValueError("a group has at least one member")
    return np.asarray((1 - misery) * scores.mean(axis=0) + misery * scores.min(axis=0), np.float32)
