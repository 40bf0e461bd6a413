"""Elicited items are informative and of every genre."""

import numpy as np
import pytest

from recommender.model.elicitation import elicit, information


def test_popular_items_of_divided_opinion_are_most_informative() -> None:
    log_count = np.log1p([1000, 1000, 1000, 10, 0])
    share = np.array([0.5, 0.9, 1.0, 0.5, 0.5])
    bits = information(log_count, share)
    assert bits[0] == pytest.approx(np.log(1001))  # one bit
    assert bits[0] > bits[1] > bits[3] > bits[2]
    assert bits[2] == pytest.approx(0, abs=1e-6)
    assert bits[4] == 0


def test_genres_get_places_by_the_highest_averages() -> None:
    """Two genres with items of information 6 and 3: places go to 6, then 6/2 and 3, then 6/3 ..."""
    worth = np.array([6.0, 6, 6, 6, 3, 3])
    genres = np.array([[1, 0]] * 4 + [[0, 1]] * 2, np.bool_)
    order = elicit(worth, genres, 6).tolist()
    assert sorted(order) == list(range(6))
    assert order[0] == 0
    assert set(order[:3]) == {0, 1, 4}
    assert set(order[:4]) == {0, 1, 2, 4}


def test_a_item_of_two_genres_takes_half_a_place_in_each() -> None:
    worth = np.array([9.0, 4.0, 5.0])
    genres = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 1]], np.bool_)
    # After the first, an item of the first genre is worth 4 / 1.5.
    assert elicit(worth, genres, 3).tolist() == [0, 2, 1]


def test_a_shorter_list_begins_a_longer_one_and_items_of_no_genre_count() -> None:
    rng = np.random.default_rng(3)
    worth = rng.random(60)
    genres = rng.random((60, 5)) < 0.2
    whole = elicit(worth, genres, 100)
    assert sorted(whole.tolist()) == list(range(60))
    assert (~genres.any(axis=1)).any()
    for k in (1, 7, 30):
        assert elicit(worth, genres, k).tolist() == whole[:k].tolist()
