"""The likes in ratings: most of the scorers are fitted on likes as ones, as in their papers."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recommender.interactions import History, Interactions
from recommender.metrics import RELEVANT_STARS


def likes(train: Interactions) -> csr_matrix:
    """The liked items as ones, csr float32 (n_users, n_items)."""
    liked = train.with_ratings(train.user_items.data >= RELEVANT_STARS).user_items
    liked.data = np.ones_like(liked.data)
    return liked


def liked(history: History) -> NDArray[np.int32]:
    """The liked items of a history, int32 (n,)."""
    return history.item_idx[history.stars >= RELEVANT_STARS]
