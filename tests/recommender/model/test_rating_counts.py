"""Popularity, stars and match statistics follow ratings as a training with them would."""

import numpy as np
import pytest
from numpy.typing import NDArray

from recommender.interactions import History, Interactions
from recommender.item_features import ItemFeatures
from recommender.model.hybrid import Hybrid
from recommender.model.new_items import with_ratings
from recommender.model.popularity import HALF_STARS, RatingCounts
from recommender.training.config import Config
from recommender.training.fit_match import uncalibrated
from recommender.training.train import train_hybrid

NOBODY = History.of([])
World = tuple[Interactions, ItemFeatures]


def histograms(interactions: Interactions) -> NDArray[np.int32]:
    found = np.zeros((interactions.n_items, HALF_STARS), np.int32)
    ratings = interactions.user_items.tocoo()
    np.add.at(found, (ratings.col, (2 * ratings.data).astype(int) - 1), 1)
    return found


@pytest.fixture(scope="module")
def before(world: World) -> tuple[Hybrid, Interactions]:
    """A model of the ratings of half of the users, and these."""
    interactions, items = world
    rows = interactions.user_items.tocoo().row
    half = interactions.with_ratings(rows % 2 == 0)
    return train_hybrid(half, items, Config(factors=16)), half


def test_the_histogram_is_that_of_the_training(model: Hybrid, world: World) -> None:
    assert model.ratings is not None
    np.testing.assert_array_equal(model.ratings.histogram, histograms(world[0]))


def test_statistics_and_order_of_popularity_are_those_of_a_training_with_the_ratings(
    before: tuple[Hybrid, Interactions], model: Hybrid, world: World
) -> None:
    half, known = before
    moved = with_ratings(half, dict(enumerate(histograms(world[0]))))
    assert moved.match is not None
    assert half.match is not None
    assert model.match is not None
    content = half.encoder.transform(world[1])
    fitted = uncalibrated(known, content)
    expected = with_ratings(half, dict(enumerate(histograms(known))))
    assert expected.match is not None
    np.testing.assert_allclose(expected.match.item_statistics, fitted.item_statistics, atol=1e-4)
    rated = histograms(world[0]).sum(axis=1) > 0
    error = [
        np.abs(each.match.item_statistics - model.match.item_statistics)[rated].mean(axis=0)
        for each in (moved, half)
        if each.match is not None
    ]
    assert (error[0] < error[1] / 2).all(), error
    distance = [np.abs(each.popularity - model.popularity)[rated].mean() for each in (moved, half)]
    assert distance[0] < distance[1], distance


def test_a_hit_without_ratings_in_training_rises_in_popularity_stars_and_match(
    before: tuple[Hybrid, Interactions],
) -> None:
    half, known = before
    never = int(np.flatnonzero(histograms(known).sum(axis=1) == 0)[0])
    item = np.array([never], np.int32)
    loved, hated = np.zeros((2, HALF_STARS), np.int32)
    loved[9], hated[0] = 40, 40
    up, down = with_ratings(half, {never: loved}), with_ratings(half, {never: hated})
    assert up.popularity[never] > half.popularity[never]
    for before_, after in ((half, up), (down, half)):
        one, other = before_.predict(NOBODY, item), after.predict(NOBODY, item)
        assert other.stars[0] > one.stars[0] + 0.3
        assert other.match_percent[0] > one.match_percent[0] + 5
    others = np.delete(np.arange(half.n_items), never)
    np.testing.assert_array_equal(up.popularity[others], half.popularity[others])
    assert up.similar(0, k=3)[0].tolist() == half.similar(0, k=3)[0].tolist()


def test_ratings_that_are_taken_back_leave_the_model_as_it_was(before: tuple[Hybrid, Interactions]) -> None:
    half, known = before
    rows = histograms(known)
    more = rows + np.random.default_rng(1).integers(0, 9, rows.shape).astype(np.int32)
    back = with_ratings(with_ratings(half, dict(enumerate(more))), dict(enumerate(rows)))
    assert back.stars is not None
    assert half.stars is not None
    assert back.match is not None
    assert half.match is not None
    np.testing.assert_allclose(back.popularity, half.popularity, atol=1e-3)
    np.testing.assert_allclose(back.stars.items, half.stars.items, atol=1e-3)
    np.testing.assert_allclose(back.match.item_statistics, half.match.item_statistics, atol=1e-3)


def test_the_counts_are_saved(model: Hybrid) -> None:
    assert model.ratings is not None
    again = RatingCounts.from_arrays(model.ratings.arrays())
    np.testing.assert_array_equal(again.histogram, model.ratings.histogram)
    assert (again.mean, again.deviation) == (model.ratings.mean, model.ratings.deviation)
