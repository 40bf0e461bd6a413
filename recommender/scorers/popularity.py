"""Popularity: the same list for every history."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from recommender.interactions import History
from recommender.scorers.part import Arrays, Floats, ItemIdx


@dataclass(frozen=True, slots=True)
class Popularity:
    """Scores that are all 0, so that the popularity of the served model orders the items."""

    kind: ClassVar[str] = "popularity"

    n_items: int

    def scores(self, history: History) -> Floats:  # noqa: ARG002 - no history changes it
        return np.zeros(self.n_items, np.float32)

    def effects(self, history: History, item_idx: ItemIdx) -> Floats:
        return np.zeros((len(history), len(item_idx)), np.float32)

    def with_items(self, place: npt.NDArray[np.int64], content_vectors: Floats) -> Self:  # noqa: ARG002
        return type(self)(len(content_vectors))

    def arrays(self) -> Arrays:
        return {"n_items": np.array([self.n_items], np.int64)}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        return cls(int(arrays["n_items"][0]))
