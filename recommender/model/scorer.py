"""The protocol of a model that scores items for a user given by the history; scores for a group of users."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from recommender.interactions import History

Floats = npt.NDArray[np.float32]
ItemIdx = npt.NDArray[np.int32]

MISERY = 0.5


@dataclass(frozen=True, slots=True)
class Ranking:
    """Items, int32 (m,), best first, and scores, float32 (m,), in standard deviations above the mean."""

    item_idx: ItemIdx
    scores: Floats


class Scorer(Protocol):
    """A model that can serve recommendation lists.

    It has no state of single users and is immutable, so that threads can share it. The contract is tested by
    `tests/recommender/model/test_scorer.py`: add each new scorer to its parameters.
    """

    @property
    def item_ids(self) -> npt.NDArray[np.int64]:
        """int64 (n_items,), ascending."""
        ...

    @property
    def n_items(self) -> int: ...

    def scores(self, history: History, favorite_genres: Sequence[str] = ()) -> Floats:
        """Finite scores of all items, those of the history included, float32 (n_items,); a new array."""
        ...

    def ranked(
        self,
        scores: Floats,
        history: History,
        *,
        k: int,
        allowed: npt.NDArray[np.bool_] | None = None,
        diversity: float = 0.0,
    ) -> Ranking:
        """Rank the best k allowed items by `scores`, which are overwritten; none of the history."""
        ...


def aggregate_scores(scores: Floats, misery: float = MISERY) -> Floats:
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
