"""What others publish and what ours is measured beside: small, from the papers, on liked items as ones.

Each function fits on ratings and gives `Scores`: float32 (n_items,) for a history, of which the items with
RELEVANT_STARS or more count. `ranker` turns that into lists.
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

Floats = NDArray[np.float32]
Scores = Callable[[History], Floats]

BLOCK = 2048  # items whose similarities are dense at once
MAX_BYTES = 256 << 20  # of a dense matrix of items by items: the 8,192 most liked
SHRINKAGE = 25.0  # Koren's for the damped means of users and items: Netflix Prize report, 2009


def likes(train: Interactions) -> csr_matrix:
    """csr float32 (n_users, n_items) of ones."""
    liked = train.with_ratings(train.user_items.data >= RELEVANT_STARS).user_items
    liked.data = np.ones_like(liked.data)
    return liked


def liked(history: History) -> NDArray[np.int32]:
    """The items of a history that count."""
    return history.item_idx[history.stars >= RELEVANT_STARS]


def ranker(train: Interactions, scores: Scores, allowed: NDArray[np.bool_] | None = None) -> Ranker:
    """Lists by `scores`; where no item of a history is liked, by popularity."""
    counts = np.bincount(train.user_items.indices, minlength=train.n_items).astype(np.float32)

    def rank(history: History, k: int) -> NDArray[np.int32]:
        by_taste = scores(history) if len(liked(history)) else counts.copy()
        by_taste[history.item_idx] = -np.inf
        if allowed is not None:
            by_taste[~allowed] = -np.inf
        return top(by_taste, k)

    return rank


def item_knn(train: Interactions, *, neighbours: int) -> Scores:
    """Cosine of items' users, the most similar `neighbors` of each item kept.

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
    """Truncated singular value decomposition of likes with zeros for the rest.

    Cremonesi, Koren and Turrin, "Performance of Recommender Algorithms on Top-N Recommendation Tasks",
    RecSys 2010, section 3.2: r_u Q Q^T.
    """
    ones = likes(train).astype(np.float64)
    k = min(factors, min(ones.shape) - 1)
    if k < 1 or not ones.nnz:  # nothing to decompose
        return lambda _history: np.zeros(train.n_items, np.float32)
    with threadpool_limits(limits=1, user_api="blas"):
        _, _, rows = svds(ones, k=k, v0=np.ones(min(ones.shape)))
    items = np.ascontiguousarray(rows.T, np.float32)  # (n_items, factors)
    return lambda history: items @ items[liked(history)].sum(axis=0)


def ease(train: Interactions, *, regularization: float) -> Scores:
    """Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019, equation 8.

    Over as many items, the most liked, as MAX_BYTES have room for.
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
    """Implicit ALS on likes alone, users folded in by the exact half-step.

    Hu, Koren and Volinsky, ICDM 2008, with the regularization of Rendle et al., RecSys 2022: `ials`.
    """
    from recommender.training import ials as solver  # noqa: PLC0415 - numba

    _, items = solver.fit(
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
        solved = solver.half_step(row, items, regularization=regularization, alpha0=alpha0)
        return np.asarray(items @ solved[0], np.float32)

    return scores


def damped_means(train: Interactions) -> Predictor:
    """Stars as the mean, the item's and the user's deviations from it, each drawn to 0 by SHRINKAGE ratings.

    Koren, "The BellKor Solution to the Netflix Grand Prize", 2009, section 3; no match percent.
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
    """(X^T X + r I)^-1 of X (n, m); of fewer rows than columns as (I - X^T (X X^T + r I)^-1 X) / r."""
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
    """The `kept` largest above 0 of each row, without the item itself, which is row + start."""
    rows = np.arange(len(similar))
    similar[rows, rows + start] = 0
    kept = min(kept, similar.shape[1])
    columns = np.argpartition(-similar, kept - 1, axis=1)[:, :kept]
    values = np.take_along_axis(similar, columns, axis=1)
    place = np.repeat(rows, kept)
    chosen = values.ravel() > 0
    return csr_matrix((values.ravel()[chosen], (place[chosen], columns.ravel()[chosen])), shape=similar.shape)
