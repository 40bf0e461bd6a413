"""Users who like one genre of four, and a hybrid model of their ratings."""

import numpy as np
import pytest

from recommender.interactions import History, Interactions
from recommender.item_features import ItemFeatures
from recommender.model.hybrid import Hybrid
from recommender.training.config import Config
from recommender.training.train import train_hybrid

GENRES = ("Comedy", "Drama", "Horror", "Western")
N_RATED, N_NEW, N_USERS = 160, 24, 240
WESTERNS = History.of(np.arange(3, 51, 4), np.tile([5, 4.5, 4], 4))


def _world() -> tuple[Interactions, ItemFeatures]:
    """Users who mostly rate, and like, one genre of four; the last items are unrated."""
    rng = np.random.default_rng(0)
    n = N_RATED + N_NEW
    of_item = np.arange(n) % 4
    appeal = 1 / (6 + np.arange(n) // 4)
    appeal[N_RATED:] = 0
    users, items, stars = [], [], []
    for user in range(N_USERS):
        odds = appeal * np.where(of_item == user % 4, 40.0, 1.0)
        chosen = rng.choice(n, 25, replace=False, p=odds / odds.sum())
        liked = np.where(of_item[chosen] == user % 4, 4.5, 2.5)
        users += [user] * 25
        items += (1000 + chosen).tolist()
        stars += (np.rint(2 * liked + rng.normal(size=25)) / 2).clip(0.5, 5).tolist()
    features = ItemFeatures.blank(np.arange(1000, 1000 + n))
    features.genres[:] = [(GENRES[genre],) for genre in of_item]
    features.directors[:] = [(f"Director {genre} {item % 3}",) for item, genre in enumerate(of_item)]
    features.years[:] = 1990 + np.arange(n) % 30
    return Interactions.from_arrays(users, items, stars, catalog=features.item_ids), features


@pytest.fixture(scope="session")
def world() -> tuple[Interactions, ItemFeatures]:
    return _world()


@pytest.fixture(scope="session")
def model(world: tuple[Interactions, ItemFeatures]) -> Hybrid:
    return train_hybrid(*world, Config(factors=16))
