"""Batch recommendation returns the lists of single users."""

import numpy as np
import pytest

from recommender.interactions import History, Interactions
from recommender.item_features import ItemFeatures
from recommender.model import batch
from recommender.model.blend import FACTORS, ITEMS, KNOTS, POPULARITY, TRANSITIONS
from recommender.model.hybrid import Hybrid
from recommender.model.scorer import Ranking
from recommender.training.config import Config
from recommender.training.train import train_hybrid

N_USERS, N_RATED, N_ITEMS = 150, 110, 130


@pytest.fixture(scope="module")
def model() -> Hybrid:
    rng = np.random.default_rng(3)
    users = np.repeat(np.arange(N_USERS), 20)
    items = np.concatenate([rng.permutation(N_RATED)[:20] for _ in range(N_USERS)])
    liked = (users + items) % 3 == 0
    stars = np.where(liked, 4.5, 2.5) + rng.integers(-1, 2, users.size) / 2
    described = ItemFeatures.blank(np.arange(N_ITEMS))
    described.genres[:] = [(f"genre {item % 5}",) for item in range(N_ITEMS)]
    interactions = Interactions.from_arrays(
        users, items, stars, rng.integers(1, 10**9, users.size), catalog=described.item_ids
    )
    fitted = train_hybrid(interactions, described, Config(factors=12))
    # Each part has a weight, so that an omission is found.
    for part, weight in ((FACTORS, 1.0), (ITEMS, 0.7), (TRANSITIONS, 0.5), (POPULARITY, 0.3)):
        fitted.blend.weights[:, part] = weight
    fitted.blend.weights[-1, ITEMS] = 0
    return fitted


def histories() -> list[History]:
    rng = np.random.default_rng(4)
    lengths = [0, 1, 2, 3, 5, 0, 12, 40, int(KNOTS[-1])] * 4
    return [
        History.of(rng.permutation(N_ITEMS)[:n], rng.integers(1, 11, n) / 2, rng.integers(0, 10**9, n))
        for n in lengths
    ]


def same(one: Ranking, other: Ranking) -> None:
    np.testing.assert_allclose(one.scores, other.scores, rtol=1e-4, atol=1e-4)
    apart = one.item_idx != other.item_idx
    # Only items of equal score may be swapped.
    np.testing.assert_allclose(one.scores[apart], other.scores[apart], rtol=1e-5, atol=1e-5)
    assert apart.sum() <= 0.2 * apart.size


@pytest.mark.parametrize("block_bytes", [1, 7 * 4 * N_ITEMS, 1 << 20])
@pytest.mark.parametrize("diversity", [0.0, 0.4])
def test_a_batch_returns_the_lists_of_each_user(
    model: Hybrid, monkeypatch: pytest.MonkeyPatch, block_bytes: int, diversity: float
) -> None:
    monkeypatch.setattr(batch, "BLOCK_BYTES", block_bytes)
    allowed = np.arange(N_ITEMS) % 7 > 0
    for mask in (None, allowed):
        lists = batch.recommend_all(model, histories(), k=30, allowed=mask, diversity=diversity)
        for history, found in zip(histories(), lists, strict=True):
            same(found, model.recommend(history, k=30, allowed=mask, diversity=diversity))


def test_no_user_no_list(model: Hybrid) -> None:
    assert list(batch.recommend_all(model, [], k=10)) == []
