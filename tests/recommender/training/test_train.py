"""Small and uniform data sets make a model."""

import numpy as np
import pytest

from recommender.interactions import History, Interactions
from recommender.item_features import ItemFeatures
from recommender.training.config import Config
from recommender.training.train import train_hybrid


def test_two_users_and_two_items_make_a_model() -> None:
    items = ItemFeatures.blank(np.array([1, 2, 3]))
    model = train_hybrid(Interactions.from_arrays([1, 1, 2], [1, 2, 2], [4, 5, 3], catalog=[3]), items)
    assert model.recommend(History.of([0]), k=5).item_idx.tolist() == [1, 2]


@pytest.mark.parametrize("stars", [0.5, 5.0])
def test_ratings_that_are_all_alike_train_a_model_of_full_lists(stars: float) -> None:
    rng = np.random.default_rng(0)
    items = np.concatenate([rng.permutation(30)[:12] for _ in range(40)])
    times = rng.integers(1, 1000, len(items))
    ratings = Interactions.from_arrays(np.repeat(np.arange(40), 12), items, np.full(480, stars), times)
    model = train_hybrid(ratings, ItemFeatures.blank(ratings.item_ids), Config(factors=8, iterations=2))
    ranking = model.recommend(ratings.history(0), k=30)
    assert len(set(ranking.item_idx.tolist())) == ratings.n_items - 12
    assert np.isfinite(ranking.scores).all()
