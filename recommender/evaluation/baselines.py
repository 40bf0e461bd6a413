"""Baselines from published papers, fitted on likes as ones.

Each function fits on ratings and returns `Scores`: a function from a history to scores, float32 (n_items,).
Only items of the history with RELEVANT_STARS or more count. `ranker` makes lists from scores.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from recommender.evaluation.predictions import Predictor
from recommender.evaluation.ranking import Ranker
from recommender.interactions import MAX_STARS, MIN_STARS, History, Interactions
from recommender.model.match import Predictions
from recommender.model.nearest import top
from recommender.model.star_ratings import NORMAL_80
from recommender.scorers.item_knn import ItemKnn
from recommender.scorers.likes import liked, likes
from recommender.scorers.svd import Svd
from recommender.training.ials import fit, half_step

Floats = NDArray[np.float32]
Scores = Callable[[History], Floats]

MAX_BYTES = 256 << 20  # of a dense item-by-item matrix: the 8,192 most liked items
SHRINKAGE = 25.0  # of the damped means of users and items: Koren, Netflix Prize report, 2009


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
    """The scores of `ItemKnn`; reports contain the setting under this spelling."""
    return ItemKnn.fit(train, neighbors=neighbours).scores


def pure_svd(train: Interactions, *, factors: int) -> Scores:
    """The scores of `Svd`."""
    return Svd.fit(train, factors=factors).scores


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
