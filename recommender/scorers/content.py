"""Content only: the profile of a user is the sum of the content vectors of the liked items.

Rocchio's profile without negative examples: Pazzani and Billsus, "Content-Based Recommendation Systems",
The Adaptive Web, 2007, section 10.5.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from recommender.interactions import History
from recommender.metrics import RELEVANT_STARS
from recommender.scorers.likes import liked
from recommender.scorers.part import Arrays, Floats, ItemIdx


@dataclass(frozen=True, slots=True)
class Content:
    """vectors: float32 (n_items, width), rows of length 1 or 0."""

    kind: ClassVar[str] = "content"

    vectors: Floats

    def scores(self, history: History) -> Floats:
        return np.asarray(self.vectors @ self.vectors[liked(history)].sum(axis=0), np.float32)

    def effects(self, history: History, item_idx: ItemIdx) -> Floats:
        """Exact: the score is a sum over the liked items."""
        of_likes = (history.stars >= RELEVANT_STARS)[:, None]
        return np.asarray((self.vectors[history.item_idx] @ self.vectors[item_idx].T) * of_likes, np.float32)

    def with_items(self, place: npt.NDArray[np.int64], content_vectors: Floats) -> Self:  # noqa: ARG002
        return type(self)(content_vectors)

    def arrays(self) -> Arrays:
        return {"vectors": self.vectors}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        return cls(arrays["vectors"])
