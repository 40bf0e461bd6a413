"""Fill the first places of a long ranking for diversity."""

import numpy as np

from app.serving.model import Model
from recommender.model.rerank import WINDOW
from recommender.model.scorer import Ranking


def diversified_first(model: Model, ranking: Ranking, *, k: int, diversity: float) -> Ranking:
    """The whole ranking, whose first k places are filled for diversity and the others by score.

    The first j are the same for each k from j on, so that pages are consistent.
    """
    items, scores = ranking.item_idx, ranking.scores
    windows = slice(-(-k // WINDOW) * WINDOW)
    first = model.hybrid.diversified(Ranking(items[windows], scores[windows]), k=k, diversity=diversity)
    others = np.isin(items, first.item_idx, invert=True)
    return Ranking(np.append(first.item_idx, items[others]), np.append(first.scores, scores[others]))
