"""Item-to-item transitions: directed, above the expected count, and 0 without timestamps."""

import numpy as np
import pytest

from recommender.interactions import History, Interactions
from recommender.model import transitions
from recommender.model.fold_in import graded
from recommender.model.transitions import ItemTransitions, standardize
from recommender.training.sessions import LENGTH, sessions

N_ITEMS = 40


@pytest.fixture(scope="module")
def interactions() -> Interactions:
    """Item 2 n + 1 always follows item 2 n; the pairs are in random order."""
    rng = np.random.default_rng(0)
    users, items, times = [], [], []
    for user in range(200):
        pairs = rng.permutation(N_ITEMS // 2)[:6]
        order = np.stack([2 * pairs, 2 * pairs + 1], axis=1).ravel()
        users += [user] * len(order)
        items += order.tolist()
        times += list(range(1, len(order) + 1))
    stars = np.full(len(users), 4.0)
    return Interactions.from_arrays(users, items, stars, times, catalog=np.arange(N_ITEMS))


@pytest.fixture(scope="module")
def model(interactions: Interactions) -> ItemTransitions:
    return ItemTransitions.fit(interactions, rng=np.random.default_rng(0))


def test_the_successor_of_the_newest_item_is_first(model: ItemTransitions) -> None:
    scores = model.scores(History.of([10, 4], 5, [100, 200]))
    assert np.argsort(-scores)[:2].tolist() == [5, 11]
    assert scores[11] / scores[5] == pytest.approx(transitions.FADING, rel=0.3)


def test_a_predecessor_is_not_a_successor(model: ItemTransitions) -> None:
    scores = model.scores(History.of([5], 5, [100]))
    assert scores[4] < 0.1 * model.scores(History.of([4], 5, [100]))[5]


def test_without_times_there_is_no_order(model: ItemTransitions) -> None:
    history = History.of([4, 10], [5, 3])
    assert not model.scores(history).any()
    assert not model.effects(history, np.arange(3, dtype=np.int32), N_ITEMS).any()
    timeless = Interactions.from_arrays([1, 1, 2], [1, 2, 3], [4, 4, 4])
    assert ItemTransitions.fit(timeless, rng=np.random.default_rng(0)).following.nnz == 0
    assert sessions(timeless, rng=np.random.default_rng(0)).nnz == 0


def test_blocks_make_no_difference_and_rows_are_bounded(
    interactions: Interactions, model: ItemTransitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transitions, "BLOCK", 50)
    pieces = ItemTransitions.fit(interactions, rng=np.random.default_rng(0))
    np.testing.assert_allclose(pieces.following.toarray(), model.following.toarray(), atol=1e-6)
    monkeypatch.setattr(transitions, "KEPT", 3)
    few = ItemTransitions.fit(interactions, rng=np.random.default_rng(0)).following
    assert np.diff(few.indptr).max() == 3
    whole = model.following.toarray()
    np.testing.assert_allclose(
        few.toarray().sum(axis=1), np.sort(whole, axis=1)[:, -3:].sum(axis=1), rtol=1e-5
    )


def test_effects_are_the_changes_of_standardized_scores_without_an_item(model: ItemTransitions) -> None:
    rng = np.random.default_rng(3)
    idx = rng.permutation(N_ITEMS)[:14]
    history = History.of(idx, rng.integers(1, 11, 14) / 2, rng.permutation(14) // 2 * 10 + 5)
    items = np.setdiff1d(np.arange(N_ITEMS), idx).astype(np.int32)
    effects = model.effects(history, items, N_ITEMS)

    def standard(keep: np.ndarray) -> np.ndarray:
        rest = History(history.item_idx[keep], history.stars[keep], history.timestamps[keep])
        scores = model.scores(rest)
        mean, deviation = standardize(scores, N_ITEMS)
        assert (mean, deviation) == pytest.approx((scores.mean(), scores.std()), rel=1e-4)
        return np.asarray((scores[items] - mean) / deviation)

    everything = np.arange(14)
    for place in everything:
        fall = standard(everything) - standard(np.delete(everything, place))
        np.testing.assert_allclose(effects[place], fall, atol=1e-4)
    assert np.abs(effects).max() > 0.1


def test_a_sitting_is_a_run_of_events_of_one_user() -> None:
    n = 23
    times = np.random.default_rng(1).permutation(n) + 1
    stars = np.resize([2.0, 4.5, 5.0], n)
    one = Interactions.from_arrays([1] * n + [2], [*range(n), 7], [*stars, 3.0], [*times, 4])
    rows = sessions(one, rng=np.random.default_rng(0)).toarray()
    assert len(rows) == 5  # 0-9, 5-14, 10-19 and 15-22; a single rating is no sitting, an empty row
    in_time = np.argsort(times)
    for start, row in zip((0, 5, 10, 15), rows, strict=False):
        items = in_time[start : start + LENGTH]
        assert sorted(np.flatnonzero(row)) == sorted(items)
        np.testing.assert_allclose(row[items], graded(stars[items]))
    assert not rows[4].any()
