"""Baselines from published papers, fitted on likes as ones.

Each function fits on ratings and returns `Scores`: a function from a history to scores, float32 (n_items,).
Only items of the history with RELEVANT_STARS or more count. `ranker` makes lists from scores.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags_array, vstack
from scipy.sparse.linalg import svds
from threadpoolctl import threadpool_limits

from recommender.evaluation.predictions import Predictor
from recommender.evaluation.ranking import Ranker
from recommender.interactions import MAX_STARS, MIN_STARS, History, Interactions
from recommender.metrics import RELEVANT_STARS
from recommender.model.match import Predictions
from recommender.model.nearest import top
from recommender.model.star_ratings import NORMAL_80
from recommender.training.ials import fit, half_step

Floats = NDArray[np.float32]
Scores = Callable[[History], Floats]

BLOCK = 2048  # items whose similarities are computed densely at once
MAX_BYTES = 256 << 20  # of a dense item-by-item matrix: the 8,192 most liked items
SHRINKAGE = 25.0  # of the damped means of users and items: Koren, Netflix Prize report, 2009


def likes(train: Interactions) -> csr_matrix:
    """The liked items as ones, csr float32 (n_users, n_items)."""
    liked = train.with_ratings(train.user_items.data >= RELEVANT_STARS).user_items
    liked.data = np.ones_like(liked.data)
    return liked


def liked(history: History) -> NDArray[np.int32]:
    """The liked items of a history, int32 (n,)."""
    return history.item_idx[history.stars >= RELEVANT_STARS]


def ranker(train: Interactions, scores: Scores, allowed: NDArray[np.bool_] | None = None) -> Ranker:
    """Rank by `scores`, or by popularity if the history has no liked item."""
    counts = np.bincount(train.user_items.indices, minlength=train.n_items).astype(np.float32)

    def rank(history: History, k: int) -> NDArray[np.int32]:
        values = scores(history) if len(liked(history)) else counts.copy()
        values[history.item_idx] = -np.inf
        if allowed is not None:
            values[~allowed] = -np.inf
        return top(values, k)

    return rank


def item_knn(train: Interactions, *, neighbours: int) -> Scores:
    """Item-based k-nearest neighbors by the cosine of the items' users.

    neighbours: similar items kept for each item; reports contain the setting under this spelling.

    Deshpande and Karypis, "Item-Based Top-N Recommendation Algorithms", TOIS 2004, section 4.
    """
    ones = likes(train)
    counts = np.bincount(ones.indices, minlength=train.n_items)
    unit = (ones @ diags_array(1 / np.sqrt(np.maximum(counts, 1)))).tocsc()
    kept = [_largest((unit[:, start : start + BLOCK].T @ unit).toarray(), start, neighbours)
            for start in range(0, train.n_items, BLOCK)]  # fmt: skip
    similar = vstack(kept, format="csr", dtype=np.float32)
    return lambda history: np.asarray(similar[liked(history)].sum(axis=0), np.float32).ravel()


def pure_svd(train: Interactions, *, factors: int) -> Scores:
    """Truncated singular value decomposition of the likes, with zeros for all other entries.

    Cremonesi, Koren and Turrin, "Performance of Recommender Algorithms on Top-N Recommendation Tasks",
    RecSys 2010, section 3.2: r_u Q Q^T.
    """
    ones = likes(train).astype(np.float64)
    k = min(factors, min(ones.shape) - 1)
    if k < 1 or not ones.nnz:
        return lambda _history: np.zeros(train.n_items, np.float32)
    with threadpool_limits(limits=1, user_api="blas"):
        _, _, rows = svds(ones, k=k, v0=np.ones(min(ones.shape)))
    items = np.ascontiguousarray(rows.T, np.float32)  # (n_items, factors)
    return lambda history: items @ items[liked(history)].sum(axis=0)


def ease(train: Interactions, *, regularization: float) -> Scores:
    """EASE: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019, equation 8.

    Covers the most liked items, as many as fit into MAX_BYTES.
    """
    ones = likes(train)
    counts = np.bincount(ones.indices, minlength=train.n_items)
    head = np.sort(
        np.argsort(-counts, kind="stable")[: min(int((MAX_BYTES // 4) ** 0.5), (counts > 0).sum())]
    )
    with threadpool_limits(limits=1, user_api="blas"):
        inverse = _inverse_gram(ones[:, head], np.float32(regularization))
    weights = inverse / -np.diag(inverse)
    weights[np.diag_indices_from(weights)] = 0
    place = np.full(train.n_items, -1)
    place[head] = np.arange(len(head))

    def scores(history: History) -> Floats:
        rows = place[liked(history)]
        result = np.zeros(train.n_items, np.float32)
        result[head] = weights[rows[rows >= 0]].sum(axis=0)
        return result

    return scores


def ials(
    train: Interactions,
    *,
    factors: int = 64,
    regularization: float,
    alpha0: float,
    iterations: int = 10,
) -> Scores:
    """Implicit ALS on likes; users are folded in by the exact half-step.

    Hu, Koren and Volinsky, ICDM 2008, with the regularization of Rendle et al., RecSys 2022: `ials`.
    """
    _, items = fit(
        likes(train),
        factors=min(factors, train.n_users, train.n_items),
        regularization=regularization,
        alpha0=alpha0,
        iterations=iterations,
        rng=np.random.default_rng(0),
    )

    def scores(history: History) -> Floats:
        idx = np.sort(liked(history))
        row = csr_matrix((np.ones(len(idx), np.float32), idx, [0, len(idx)]), shape=(1, train.n_items))
        solved = half_step(row, items, regularization=regularization, alpha0=alpha0)
        return np.asarray(items @ solved[0], np.float32)

    return scores


def damped_means(train: Interactions) -> Predictor:
    """Predict stars as the mean plus the deviations of item and user, each shrunk by SHRINKAGE ratings.

    Koren, "The BellKor Solution to the Netflix Grand Prize", 2009, section 3. The match percent is nan.
    """
    ratings = train.user_items
    mean = float(ratings.data.mean(dtype=np.float64))
    apart = ratings.data.astype(np.float64) - mean
    counts = np.bincount(ratings.indices, minlength=train.n_items)
    of_item = np.bincount(ratings.indices, weights=apart, minlength=train.n_items) / (counts + SHRINKAGE)
    reach = NORMAL_80 * float((apart - of_item[ratings.indices]).std())

    def predict(history: History, item_idx: NDArray[np.int32]) -> Predictions:
        left = history.stars - mean - of_item[history.item_idx]
        of_user = left.sum() / (len(history) + SHRINKAGE)
        stars = np.clip(mean + of_user + of_item[item_idx], MIN_STARS, MAX_STARS).astype(np.float32)
        low, high = np.maximum(stars - reach, MIN_STARS), np.minimum(stars + reach, MAX_STARS)
        return Predictions(stars, low, high, np.full(len(stars), np.nan, np.float32))

    return predict


def _inverse_gram(rows: csr_matrix, regularization: np.float32) -> Floats:
    """(X^T X + r I)^-1 of X (n, m); if n < m, computed as (I - X^T (X X^T + r I)^-1 X) / r."""
    if rows.shape[0] < rows.shape[1]:
        dense = rows.toarray()
        kernel = dense @ dense.T
        kernel[np.diag_indices_from(kernel)] += regularization
        inverse = dense.T @ np.linalg.solve(kernel, dense)  # (m, n) @ (n, m)
        inverse /= -regularization
        inverse[np.diag_indices_from(inverse)] += 1 / regularization
        return np.asarray(inverse, np.float32)
    gram = (rows.T @ rows).toarray()
    gram[np.diag_indices_from(gram)] += regularization
    return np.asarray(np.linalg.inv(gram), np.float32)


def _largest(similar: Floats, start: int, kept: int) -> csr_matrix:
    """Keep the `kept` largest positive entries of each row, except the item itself, column row + start."""
    rows = np.arange(len(similar))
    similar[rows, rows + start] = 0
    kept = min(kept, similar.shape[1])
    columns = np.argpartition(-similar, kept - 1, axis=1)[:, :kept]
    values = np.take_along_axis(similar, columns, axis=1)
    place = np.repeat(rows, kept)
    chosen = values.ravel() > 0
    return csr_matrix((values.ravel()[chosen], (place[chosen], columns.ravel()[chosen])), shape=similar.shape)
