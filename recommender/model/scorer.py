"""The protocol of a model that scores items for one user from the history alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from recommender.interactions import History

Floats = npt.NDArray[np.float32]
ItemIdx = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Ranking:
    """Items best first, int32 (m,), and their scores, float32 (m,): deviations above the user's mean."""

    item_idx: ItemIdx
    scores: Floats


class Scorer(Protocol):
    """A model that serving can put behind a list.

    It keeps nothing about a user and does not change while it serves, so that threads share it.
    `tests/recommender/model/test_scorer.py` is the contract: a new scorer joins its parameters.
    """

    @property
    def item_ids(self) -> npt.NDArray[np.int64]:
        """int64 (n_items,), ascending."""
        ...

    @property
    def n_items(self) -> int: ...

    def scores(self, history: History, favorite_genres: Sequence[str] = ()) -> Floats:
        """float32 (n_items,): finite scores of all items, those of the history too. The caller owns them."""
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
        """The best k items by `scores`, which are overwritten; none of the history, all allowed."""
        ...
