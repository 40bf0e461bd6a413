"""The choices of the blend: what each kind of examples decides."""

import numpy as np
import pytest
from numpy.typing import NDArray

from recommender import metrics, splits
from recommender.interactions import Interactions
from recommender.model.blend import TRANSITIONS, Blend
from recommender.model.nearest import top
from recommender.splits import Split
from recommender.training import choices, held_out
from recommender.training.choices import N_PARTS, USUAL_WEIGHTS, Choices
from recommender.training.config import Config
from recommender.training.fit_blend import fit_chosen
from recommender.training.held_out import Example

N_USERS, N_ITEMS, LENGTH = 300, 240, 12
SMALL = Config(factors=8, iterations=3)
USUAL = len(choices.NOISES) - 1


def _marathons() -> Interactions:
    """Users who watch their way through a part of a circle of items, from a random item on; all liked."""
    rng = np.random.default_rng(0)
    steps = rng.integers(1, 4, (N_USERS, LENGTH)).cumsum(axis=1)
    items = (rng.integers(N_ITEMS, size=(N_USERS, 1)) + steps) % N_ITEMS
    times = np.tile(np.arange(1, LENGTH + 1), N_USERS)
    users = np.repeat(np.arange(N_USERS), LENGTH)
    return Interactions.from_arrays(users, items.ravel(), np.full(items.size, 5.0), times)


def _chosen(ratings: Interactions) -> Choices:
    nothing = np.zeros((ratings.n_items, 1), np.float32)
    return choices.choose(ratings, nothing, SMALL, np.random.default_rng(0), lambda _stage, _fraction: None)


def _share(weights: NDArray[np.float32]) -> float:
    """The mean share of transitions in the weights."""
    return float((weights[:, TRANSITIONS] / weights.sum(axis=1)).mean())


def _ndcg(split: Split, blend: Blend) -> NDArray[np.float64]:
    reached = []
    for user in range(split.held_out.n_users):
        history, later = split.histories.history(user), split.held_out.history(user)
        scores = blend.scores(history)
        scores[history.item_idx] = -np.inf
        hits = np.isin(top(scores, 10), later.item_idx)[None]
        reached.append(metrics.ndcg(hits, np.array([len(later)]), 10)[0])
    return np.array(reached)


def test_order_weighs_more_where_the_next_items_follow_from_the_last_ones() -> None:
    split = splits.temporal_per_user(_marathons(), rng=np.random.default_rng(0))
    chosen = _chosen(split.train)
    assert _share(chosen.weights) > 1.3 * _share(USUAL_WEIGHTS)
    reached = []
    for one in (chosen, Choices()):
        rng = np.random.default_rng(0)
        nothing = np.zeros((split.train.n_items, 1), np.float32)
        popular = np.zeros(split.train.n_items, np.float32)
        blend, *_ = fit_chosen(split.train, nothing, popular, SMALL, one, rng, lambda *_: None)
        reached.append(_ndcg(split, blend))
    assert reached[0].mean() > 1.1 * reached[1].mean()


def test_ratings_without_times_do_not_raise_the_weight_of_order() -> None:
    ratings = _marathons()
    without = np.zeros_like(ratings.timestamps)
    untimed = Interactions(ratings.user_ids, ratings.item_ids, ratings.user_items, without)
    assert _share(_chosen(untimed).weights) <= _share(USUAL_WEIGHTS)


def test_next_items_are_later_than_the_history() -> None:
    split = splits.temporal_per_user(_marathons(), rng=np.random.default_rng(0))
    drawn = list(held_out.next_items(split, np.random.default_rng(0)))
    assert len(drawn) == N_USERS
    for one in drawn:
        later = split.held_out.history(one.user)
        assert one.history.timestamps.max() < later.timestamps.min()
        assert set(one.relevant) == set(later.item_idx)
        assert not one.random


AT = 3  # index of the tested length
SHORT, LONG = slice(choices.SHORT), slice(choices.SHORT, None)


def _example(user: int, *, random: bool, by_order: float, knot: int = AT) -> Example:
    """Twenty-one candidates. The liked one is last by the factors, and `by_order` more by transitions."""
    n_pool = held_out.DEPTH + 1
    factors = np.tile(np.linspace(1, 0, n_pool, dtype=np.float32), (len(choices.NOISES), 1))
    others = np.zeros((N_PARTS - 1, n_pool), np.float32)
    others[TRANSITIONS - 1, -1] = by_order
    hits = np.arange(n_pool) == n_pool - 1
    return Example(factors, others, hits, 1, knot, user, True, random)


@pytest.mark.parametrize(("of_random", "of_later", "expected"), [(0, 5, 3), (0, 0, 1), (-5, 0, 1)])
def test_the_weight_of_order_is_chosen_by_random_and_next_items(
    of_random: float, of_later: float, expected: float
) -> None:
    examples = [_example(user, random=True, by_order=of_random) for user in range(100)]
    later = [_example(user, random=False, by_order=of_later) for user in range(100)]
    weights, _ = choices.weigh(examples, later, USUAL)
    assert weights[LONG, TRANSITIONS] == pytest.approx(expected * USUAL_WEIGHTS[LONG, TRANSITIONS])
    assert weights[SHORT] == pytest.approx(USUAL_WEIGHTS[SHORT])  # there are no examples of short histories


def test_short_histories_choose_apart_from_long_ones() -> None:
    lengths = (0, AT)
    examples = [_example(user, random=True, by_order=0, knot=knot) for user in range(100) for knot in lengths]
    later = [
        _example(user, random=False, by_order=0 if knot else 5, knot=knot)
        for user in range(100)
        for knot in lengths
    ]
    weights, _ = choices.weigh(examples, later, USUAL)
    assert weights[SHORT, TRANSITIONS] == pytest.approx(3 * USUAL_WEIGHTS[SHORT, TRANSITIONS])
    assert weights[LONG] == pytest.approx(USUAL_WEIGHTS[LONG])


def test_next_items_alone_change_no_weight() -> None:
    examples = [_example(user, random=True, by_order=0, knot=0) for user in range(100)]
    later = [_example(user, random=False, by_order=5) for user in range(100)]
    weights, _ = choices.weigh(examples, later, USUAL)
    assert weights == pytest.approx(USUAL_WEIGHTS)
