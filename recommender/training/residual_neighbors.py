"""Find items whose residuals of the stars model are similar. For training only."""

from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recommender.model.star_ratings import Doubles

# Chosen on validation splits of several data sets: docs/predictions.md.
NEIGHBORS = 128
SHRINKAGE = 100.0  # common users whose correlation counts half
MAX_COMMON = 500  # ratings of a user that each item is compared with: bounds the time
CHUNKS = 64  # of items, solved in parallel


def residual_neighbors(
    ratings: csr_matrix, mean: float, users: Doubles, items: Doubles
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The items with the most similar residuals, int32 (n_items, k), and similarities, float32 (n_items, k).

    users, items: posterior means, bias first, (n, d + 1). The similarity is the square of the correlation of
    the residuals of common users, shrunk to 0 for few of them; 0 for negative correlations. Bitwise
    deterministic for any number of threads.
    """
    n_items = ratings.shape[1]
    residuals = csr_matrix(
        (_residuals(ratings.indptr, ratings.indices, ratings.data - np.float64(mean), users, items),
         ratings.indices, ratings.indptr),
        shape=ratings.shape,
    )  # fmt: skip
    by_item = csr_matrix(residuals.T)
    width = min(NEIGHBORS, n_items - 1)
    neighbors = np.zeros((n_items, width), np.int32)
    similarity = np.zeros((n_items, width), np.float32)
    if width > 0:
        _most_similar(
            by_item.indptr, by_item.indices, by_item.data,
            residuals.indptr, residuals.indices, residuals.data,
            neighbors, similarity,
        )  # fmt: skip
    return neighbors, similarity


@njit(cache=True)
def _residuals(
    indptr: NDArray[Any], indices: NDArray[Any], centred: Doubles, users: Doubles, items: Doubles
) -> Doubles:
    residuals = np.empty(len(centred))
    for user in range(indptr.shape[0] - 1):
        for at in range(indptr[user], indptr[user + 1]):
            item = indices[at]
            residual = centred[at] - users[user, 0] - items[item, 0]
            for a in range(1, users.shape[1]):
                residual -= users[user, a] * items[item, a]
            residuals[at] = residual
    return residuals


@njit(cache=True, parallel=True)
def _most_similar(
    item_ptr: NDArray[Any],
    item_users: NDArray[Any],
    item_residuals: Doubles,
    user_ptr: NDArray[Any],
    user_items: NDArray[Any],
    user_residuals: Doubles,
    neighbors: NDArray[np.int32],
    similarity: NDArray[np.float32],
) -> None:
    n_items, width = neighbors.shape
    for chunk in prange(CHUNKS):
        sums = np.zeros((n_items, 4))  # of products, of squares of both residuals, and of ones
        common = np.empty(n_items, np.int32)
        for item in range(chunk, n_items, CHUNKS):
            n_common = 0
            for at in range(item_ptr[item], item_ptr[item + 1]):
                user, residual = item_users[at], item_residuals[at]
                first, end = user_ptr[user], user_ptr[user + 1]
                step = 1 + (end - first - 1) // MAX_COMMON
                for of in range(first + item % step, end, step):
                    other = user_items[of]
                    if sums[other, 3] == 0:
                        common[n_common] = other
                        n_common += 1
                    sums[other, 0] += residual * user_residuals[of]
                    sums[other, 1] += residual * residual
                    sums[other, 2] += user_residuals[of] * user_residuals[of]
                    sums[other, 3] += 1
            found = np.zeros(n_common)
            for place in range(n_common):
                other = common[place]
                product, own, others, n = sums[other]
                if other != item and product > 0 and n > 1:
                    found[place] = product * product / (own * others) * (n / (n + SHRINKAGE)) ** 2
                sums[other] = 0
            order = np.argsort(-found)[:width]
            for place in range(len(order)):
                neighbors[item, place] = common[order[place]]
                similarity[item, place] = found[order[place]]
