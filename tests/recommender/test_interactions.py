import numpy as np
import pytest

from recommender.interactions import History, Interactions, positions


def test_the_newest_of_several_ratings_of_one_item_counts() -> None:
    interactions = Interactions.from_arrays([7, 7, 7], [1, 1, 2], [2, 5, 3], [20, 10, 0])
    assert interactions.history(0).stars.tolist() == [2, 3]
    assert interactions.history(0).timestamps.tolist() == [20, 0]


def test_without_times_the_last_row_counts() -> None:
    interactions = Interactions.from_arrays([7, 7], [1, 1], [2, 5])
    assert interactions.user_items.toarray().tolist() == [[5]]


def test_ids_become_indices_in_ascending_order_and_items_without_ratings_keep_a_place() -> None:
    interactions = Interactions.from_arrays([9, 3, 9], [30, 10, 10], [1, 2, 3], catalog=[20, 40])
    assert interactions.user_ids.tolist() == [3, 9]
    assert interactions.item_ids.tolist() == [10, 20, 30, 40]
    assert interactions.user_items.toarray().tolist() == [[2, 0, 0, 0], [3, 0, 1, 0]]


def test_unknown_ids_have_no_position() -> None:
    assert positions(np.array([10, 20]), [20, 5, 10, 99]).tolist() == [1, -1, 0, -1]
    assert positions(np.array([], np.int64), [1]).tolist() == [-1]


def test_kept_ratings_keep_their_users_items_and_times() -> None:
    interactions = Interactions.from_arrays([1, 1, 2], [10, 20, 20], [1, 4, 5], [100, 200, 300])
    kept = interactions.with_ratings(interactions.user_items.data >= 4)
    assert kept.user_items.toarray().tolist() == [[0, 4], [0, 5]]
    assert kept.timestamps.tolist() == [200, 300]
    assert kept.user_ids.tolist() == [1, 2]


@pytest.mark.parametrize("stars", [0.0, 5.5, float("nan")])
def test_stars_off_the_scale_are_refused(stars: float) -> None:
    with pytest.raises(ValueError, match="stars must lie within"):
        Interactions.from_arrays([1], [1], [stars])


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in length"):
        Interactions.from_arrays([1, 2], [1], [3])
    with pytest.raises(ValueError, match="aligned"):
        History(np.zeros(2, np.int32), np.zeros(1, np.float32), np.zeros(2, np.int64))


def test_likes_enter_as_five_stars() -> None:
    history = History.of([3, 1])
    assert history.item_idx.tolist() == [3, 1]
    assert history.stars.tolist() == [5, 5]
    assert len(History.of([])) == 0
