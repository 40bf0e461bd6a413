from typing import Any

import numpy as np
import pytest
from scipy import sparse

from recommender.interactions import History
from recommender.model import edlae
from recommender.model.edlae import ItemWeights

SETTINGS: dict[str, Any] = {"ridge": 3.0, "dropout": 0.25, "content_weight": 2.0}
N_USERS, N_ITEMS = 60, 12


@pytest.fixture(scope="module")
def targets() -> sparse.csr_matrix:
    rng = np.random.default_rng(0)
    return sparse.random(N_USERS, N_ITEMS, 0.4, format="csr", rng=rng, dtype=np.float32)


@pytest.fixture(scope="module")
def content() -> np.ndarray:
    rows = np.random.default_rng(1).standard_normal((N_ITEMS, 5)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


@pytest.fixture(scope="module")
def model(targets: sparse.csr_matrix, content: np.ndarray) -> ItemWeights:
    return ItemWeights.fit(targets, content, max_bytes=4 * N_ITEMS**2, **SETTINGS)


def test_each_column_is_the_ridge_regression_of_a_item_on_the_others(
    model: ItemWeights, targets: sparse.csr_matrix, content: np.ndarray
) -> None:
    rows = np.vstack([targets.toarray(), np.sqrt(2.0) * content.T]).astype(np.float64)
    gram = rows.T @ rows
    penalty = 0.25 / 0.75 * gram.diagonal() + 3.0
    for item in range(N_ITEMS):
        others = np.arange(N_ITEMS) != item
        a = gram[np.ix_(others, others)] + np.diag(penalty[others])
        expected = np.linalg.solve(a, gram[others, item])
        np.testing.assert_allclose(model.weights[others, item], expected, rtol=1e-3, atol=1e-5)
    assert not model.weights.diagonal().any()


def test_only_the_most_rated_items_take_part_within_the_memory_bound(
    targets: sparse.csr_matrix, content: np.ndarray
) -> None:
    counts = np.bincount(targets.indices, minlength=N_ITEMS)
    model = ItemWeights.fit(targets, content, max_bytes=4 * 7**2 + 3, **SETTINGS)
    assert model.weights.nbytes == 4 * 7**2
    assert len(model.item_idx) == 7
    assert counts[model.item_idx].min() >= np.sort(counts)[-7]
    outside = int(np.flatnonzero(model.position < 0)[0])
    assert not model.scores(History.of([outside])).any()
    items = model.item_idx[:2]
    assert not model.effects(History.of([outside]), items, 12).any()


def test_items_of_few_ratings_take_no_part(targets: sparse.csr_matrix, content: np.ndarray) -> None:
    thin = targets.tolil()
    thin[edlae.MIN_RATINGS - 1 :, 4] = 0
    thin[: edlae.MIN_RATINGS, 5] = 1
    thin[edlae.MIN_RATINGS :, 5] = 0
    fitted = thin.tocsr()
    fitted.eliminate_zeros()
    model = ItemWeights.fit(fitted, content, max_bytes=4 * N_ITEMS**2, **SETTINGS)
    assert model.position[4] < 0
    assert model.position[5] >= 0


def test_blocks_make_no_difference(
    targets: sparse.csr_matrix, content: np.ndarray, model: ItemWeights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edlae, "BLOCK", 5)
    small = ItemWeights.fit(targets, content, max_bytes=4 * N_ITEMS**2, **SETTINGS)
    np.testing.assert_allclose(small.weights, model.weights, rtol=1e-4, atol=1e-6)


def test_the_newest_rating_weighs_most_and_none_less_than_the_floor() -> None:
    weights = edlae.recency(np.array([30, 10, 20, 30]))
    floor = edlae.RECENCY_FLOOR
    expected = [1, floor + (1 - floor) * 2 ** (-3 / edlae.HALF_LIFE)]
    np.testing.assert_allclose(weights[[0, 1]], expected, rtol=1e-6)
    assert weights[3] == 1
    assert weights[1] < weights[2] < 1
    assert edlae.recency(np.arange(10_000)).min() >= floor
    assert (edlae.recency(np.zeros(5, np.int64)) == 1).all()


def test_effects_are_the_changes_of_standardized_scores_without_an_item(model: ItemWeights) -> None:
    history = History.of([1, 4, 6, 9], [5, 1, 3.5, 4])
    items = np.array([0, 2, 11], np.int32)
    effects = model.effects(history, items, 20)

    def standard(keep: np.ndarray) -> np.ndarray:
        scores = model.scores(History.of(history.item_idx[keep], history.stars[keep]))
        everything = np.concatenate((scores, np.zeros(8)))
        return np.asarray((scores[items] - everything.mean()) / everything.std())

    for left_out in range(4):
        fall = standard(np.arange(4)) - standard(np.delete(np.arange(4), left_out))
        np.testing.assert_allclose(effects[left_out], fall, rtol=1e-3, atol=1e-4)
