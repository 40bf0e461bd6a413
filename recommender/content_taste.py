"""Content taste: compare the content of items with the movies that a member liked and disliked.

It corrects the order of the first items of a list. The other parts of the score learn from all members, most
of whom go on watching what is like the movies that they disliked. A member who has rated ten movies and
dislikes three has said more than that.
"""

import numpy as np
import numpy.typing as npt

from recommender.interactions import History

Floats = npt.NDArray[np.float32]

LIKED, BELOW_MEAN, DISLIKED = 3.5, 0.5, 2.5  # stars: at least, or the mean minus; at most
NEAREST = 3  # liked or disliked items
ROUNDING = 1e-5  # of cosines that are equal
# Weights of the two, for an empty history, and the ratings after which half is left. Chosen on validation
# splits: docs/recommender.md.
FOR_LIKED, FOR_DISLIKED, FADING = 0.4, 4.0, 10.0
LONGEST = 200  # ratings; with more the correction would be near 0


def corrections(content: Floats, history: History, item_idx: npt.NDArray[np.int32]) -> Floats:
    """Corrections of the scores of m items of a list, float32 (m,), in deviations of a score.

    content: float32 (n_items, width), rows of length 1 or 0. Those for disliked items are at most 0, in
    proportion to the share of disliked items in the history.
    """
    if not 0 < len(history) <= LONGEST or not len(item_idx):
        return np.zeros(len(item_idx), np.float32)
    stars, vectors = history.stars, content[item_idx]
    liked, disliked = stars >= max(LIKED, stars.mean() - BELOW_MEAN), stars <= DISLIKED
    near_liked = _nearness(vectors, content[history.item_idx[liked]])
    near_disliked = _nearness(vectors, content[history.item_idx[disliked]])
    weights = FOR_LIKED, FOR_DISLIKED * disliked.mean()
    correction = weights[0] * near_liked - weights[1] * np.maximum(near_disliked, 0)
    return np.asarray(correction * FADING / (len(history) + FADING), np.float32)


def _nearness(vectors: Floats, others: Floats) -> Floats:
    """The mean cosine to the NEAREST of `others`, standardized over the m vectors; 0 without others."""
    if not len(others):
        return np.zeros(len(vectors), np.float32)
    cosines = vectors @ others.T  # (m, width) @ (width, n)
    nearest = np.partition(cosines, -min(NEAREST, len(others)), axis=1)[:, -NEAREST:].mean(axis=1)
    deviation = nearest.std()
    return np.asarray((nearest - nearest.mean()) / (deviation if deviation > ROUNDING else 1), np.float32)
