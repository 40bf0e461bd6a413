"""Splits: disjoint, complete, and ordered in time."""

from collections.abc import Callable

import numpy as np
import pytest

from recommender import splits
from recommender.interactions import Interactions
from recommender.splits import Split


@pytest.fixture
def interactions() -> Interactions:
    rng = np.random.default_rng(0)
    user_ids, item_ids = np.divmod(rng.permutation(40 * 30)[:500], 30)
    stars = rng.integers(1, 11, 500) / 2
    extra = np.array([100]), np.array([7]), np.array([4.5])
    users, items, values = (
        np.concatenate(pair) for pair in zip((user_ids, item_ids, stars), extra, strict=True)
    )
    return Interactions.from_arrays(users, items, values, rng.integers(1, 10**6, 501), catalog=[500])


def _pairs(part: Interactions) -> set[tuple[int, int, int]]:
    table = part.user_items.tocoo()
    return set(
        zip(
            part.user_ids[table.row].tolist(),
            part.item_ids[table.col].tolist(),
            part.timestamps.tolist(),
            strict=True,
        )
    )


MAKERS: list[Callable[[Interactions], Split]] = [
    lambda all_: splits.temporal_per_user(all_, rng=np.random.default_rng(1)),
    lambda all_: splits.strong_generalization(all_, n_test_users=10, rng=np.random.default_rng(1)),
    splits.global_temporal,
    lambda all_: splits.random_ratings(all_, rng=np.random.default_rng(1)),
]


@pytest.mark.parametrize("make", MAKERS)
def test_every_rating_is_on_one_side_only(
    make: Callable[[Interactions], Split], interactions: Interactions
) -> None:
    split = make(interactions)
    known = _pairs(split.train) | _pairs(split.histories)
    assert not known & _pairs(split.held_out)
    assert known | _pairs(split.held_out) == _pairs(interactions)
    assert (split.histories.user_ids == split.held_out.user_ids).all()
    assert split.train.n_items == split.held_out.n_items == interactions.n_items


def test_the_newest_fifth_of_each_user_is_held_out(interactions: Interactions) -> None:
    split = splits.temporal_per_user(interactions, rng=np.random.default_rng(1))
    for user in range(interactions.n_users):
        seen, held = split.histories.history(user), split.held_out.history(user)
        size = len(seen) + len(held)
        assert len(held) == (0 if size == 1 else max(1, round(0.2 * size)))
        if len(held):
            assert seen.timestamps.max() <= held.timestamps.min()


def test_only_ratings_after_a_time_are_held_out(interactions: Interactions) -> None:
    whole = splits.temporal_per_user(interactions, rng=np.random.default_rng(1))
    after = int(np.median(whole.held_out.timestamps))
    split = splits.temporal_per_user(interactions, after=after, rng=np.random.default_rng(1))
    newer = whole.held_out.with_ratings(whole.held_out.timestamps > after)
    assert 0 < newer.nnz < whole.held_out.nnz
    assert _pairs(split.held_out) == _pairs(newer)
    assert _pairs(split.train) == _pairs(interactions) - _pairs(newer)


def test_one_cut_in_time_is_the_same_for_all(interactions: Interactions) -> None:
    split = splits.global_temporal(interactions)
    assert split.train.timestamps.max() < split.held_out.timestamps.min()
    assert split.held_out.nnz / interactions.nnz == pytest.approx(0.2, abs=0.01)


def test_users_held_out_whole_are_not_in_training(interactions: Interactions) -> None:
    split = splits.strong_generalization(interactions, n_test_users=10, rng=np.random.default_rng(1))
    assert split.histories.n_users == 10
    assert not set(split.train.user_ids) & set(split.histories.user_ids)
    assert split.train.n_users == interactions.n_users - 10


def test_ratings_of_one_second_are_divided_at_random_not_by_id() -> None:
    n = 200
    interactions = Interactions.from_arrays(np.zeros(n), np.arange(n), np.full(n, 4.0), np.full(n, 9))
    split = splits.temporal_per_user(interactions, rng=np.random.default_rng(1))
    held = split.held_out.history(0).item_idx
    assert len(held) == 40
    assert 70 < held.mean() < 130  # by id it would be 180


def test_impossible_splits_are_refused(interactions: Interactions) -> None:
    with pytest.raises(ValueError, match="share"):
        splits.random_ratings(interactions, share=0, rng=np.random.default_rng(1))
    with pytest.raises(ValueError, match="cannot hold out 41 of 41"):
        splits.strong_generalization(interactions, n_test_users=41, rng=np.random.default_rng(1))
