"""One list for several people."""

import numpy as np
import numpy.typing as npt

MISERY = 0.5


def together(scores: npt.NDArray[np.float32], misery: float = MISERY) -> npt.NDArray[np.float32]:
    """float32 (n,): how well each of n items suits a group of m members.

    scores: float32 (m, n), each member's, comparable among members. (1 - misery) mean + misery minimum: the
    average weighed against the least happy member's score ("least misery": O'Connor et al., "PolyLens: A
    Recommender System for Groups of Users", ECSCW 2001; compared with others by Masthoff, "Group Recommender
    Systems", 2015). The average alone lets a majority overrule one member on every item of a list, and least
    misery alone gives each a veto, so that lists become what nobody minds. ValueError without members.
    """
    if not len(scores):
        raise ValueError("a group has at least one member")
    return np.asarray((1 - misery) * scores.mean(axis=0) + misery * scores.min(axis=0), np.float32)
