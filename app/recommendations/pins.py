"""Pinned movies: those that operators put first, and the whole list that begins with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from app.recommendations.history import UserHistory
from app.recommendations.steering.steer import MAX_PINS, Steering
from app.serving.model import Model
from recommender.exploration import explored
from recommender.interactions import History
from recommender.model.scorer import Ranking


@dataclass(frozen=True, slots=True)
class Listed:
    """A whole list: items int32 (n,) and scores float32 (n,); `propensities` of a list with exploration."""

    item_idx: NDArray[np.int32]
    scores: NDArray[np.float32]
    propensities: NDArray[np.float32] | None = None

    @classmethod
    def of(cls, ranking: Ranking, exploration: float, seed: int, pins: Sequence[int]) -> Self:
        """The pins, with the score of the first place, then the ranking, explored with this probability."""
        item_idx, scores, propensities = ranking.item_idx, ranking.scores, None
        if exploration:
            order, propensities = explored(item_idx.size, exploration, seed)
            item_idx, scores = item_idx[order], scores[order]
        if not pins:
            return cls(item_idx, scores, propensities)
        # Pins are no choice of the policy. `promoted` marks them for off-policy estimates.
        ones = np.ones(len(pins), np.float32)
        return cls(
            np.concatenate((np.array(pins, np.int32), item_idx)),
            np.concatenate((ones * (scores.max() if scores.size else 0), scores)),
            None if propensities is None else np.concatenate((ones, propensities)),
        )


def pinned(
    model: Model,
    user: UserHistory,
    history: History,
    allowed: NDArray[np.bool_],
    steering: Steering,
) -> list[int]:
    """The items that come first: of each pin the user's best, at most MAX_PINS.

    A pin with no item that is allowed, not in the history and not wished away is left out.
    """
    if not steering.pins:
        return []
    left = allowed.copy()
    left[history.item_idx] = False
    found: list[int] = []
    for candidates in steering.candidates(left):
        candidates = candidates[~np.isin(candidates, found)]  # noqa: PLW2901
        if candidates.size > 1:
            of_pin = np.zeros_like(left)
            of_pin[candidates] = True
            candidates = model.hybrid.recommend(  # noqa: PLW2901
                history, k=1, allowed=of_pin, favorite_genres=user.favorite_genres, added=steering.added
            ).item_idx
        found += candidates.tolist()
        if len(found) == MAX_PINS:
            break
    return found
