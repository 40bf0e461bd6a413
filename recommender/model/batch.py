"""Batch recommendation: the factor scores of a block of users are one matrix product."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from recommender.interactions import History
from recommender.model.blend import FACTORS, ITEMS, POPULARITY, TRANSITIONS, Blend
from recommender.model.hybrid import HYBRID, Hybrid
from recommender.model.scorer import Ranking

Floats = npt.NDArray[np.float32]

BLOCK_BYTES = 64 << 20  # of scores held at once


def recommend_all(
    model: Hybrid,
    histories: Sequence[History],
    *,
    k: int,
    allowed: npt.NDArray[np.bool_] | None = None,
    diversity: float = 0.0,
) -> Iterator[Ranking]:
    """Yield for each history the list of `model.recommend`, except for the order of scores equal to rounding.

    allowed: bool (n_items,). Raises ValueError for a bad diversity.
    """
    n_block = max(1, BLOCK_BYTES // (4 * max(1, model.n_items)))
    for start in range(0, len(histories), n_block):
        block = histories[start : start + n_block]
        for scores, history in zip(_scores(model, block), block, strict=True):
            yield model.ranked(scores, history, k=k, allowed=allowed, diversity=diversity)


def _scores(model: Hybrid, histories: Sequence[History]) -> Iterable[Floats]:
    if model.kind != HYBRID:
        return map(model.scores, histories)
    rows = block_scores(model.blend, histories)
    for row, history in zip(rows, histories, strict=True):
        model.add_genre_taste(row, history)
    return rows


def block_scores(blend: Blend, histories: Sequence[History]) -> Floats:
    """The scores of `blend.scores` for each history, float32 (n_users, n_items)."""
    model = blend.factor_model
    weights = np.array([blend.at(len(h)) if len(h) else np.zeros(4) for h in histories], np.float32)
    users = np.stack([model.user_factors(history) for history in histories])  # (n_users, d)
    means, deviations = model.standardize(users.T)
    scales = np.divide(weights[:, FACTORS], deviations, out=np.zeros_like(means), where=deviations > 0)
    scores: Floats = (users * scales[:, None]).astype(
        np.float32
    ) @ model.item_factors.T  # (n, d) @ (d, n_items)
    scores -= (scales * means).astype(np.float32)[:, None]
    for row, (history, weight) in enumerate(zip(histories, weights, strict=True)):
        if not len(history):
            scores[row] = blend.popularity
            continue
        if weight[ITEMS]:
            blend.add_by_items(scores[row], history, weight[ITEMS])
        if weight[TRANSITIONS]:
            blend.add_by_transitions(scores[row], history, weight[TRANSITIONS])
        if weight[POPULARITY]:
            scores[row] += weight[POPULARITY] * blend.popularity
    return scores
