"""Weights of the parts follow the ratings at hand, and a blend is never worse than its best part."""

import numpy as np
import pytest

from recommender.interactions import History, Interactions
from recommender.item_features import ItemFeatures
from recommender.metrics import Estimate
from recommender.model.blend import FACTORS, ITEMS, KNOTS, POPULARITY, TRANSITIONS
from recommender.model.popularity import FLOOR, HALF_LIFE, freshness, popularity
from recommender.training.choices import (
    CLEAR,
    N_PARTS,
    PART_NAMES,
    USUAL,
    USUAL_WEIGHTS,
    best_of,
    mixtures,
    weigh,
)
from recommender.training.config import Config
from recommender.training.held_out import Example
from recommender.training.train import train_hybrid

AT = 3  # index of the tested length


def _example(rng: np.random.Generator, telling: int, user: int, own: bool = True) -> Example:
    """Forty items, ten of them relevant; one part scores these higher, the others are noise."""
    parts = rng.standard_normal((N_PARTS, 40)).astype(np.float32)
    hits = np.arange(40) < 10
    parts[telling] += 1.5 * hits
    return Example(parts[:1], parts[1:], hits, 10, AT, user, own, True)


def _chosen(telling: int, n_examples: int = 300) -> tuple[np.ndarray, dict[str, Estimate]]:
    """The weights at one length if one part finds the relevant items."""
    rng = np.random.default_rng(0)
    random, later = ([_example(rng, telling, user) for user in range(n_examples)] for _ in range(2))
    weights, figures = weigh(random, later, 0)
    return weights[AT], figures


def test_other_weights_must_be_clearly_better_than_the_usual_ones() -> None:
    rng = np.random.default_rng(1)
    n_candidates = len(mixtures(USUAL_WEIGHTS))
    reached = 0.2 + rng.standard_normal((400, 1)) * 0.1 + rng.standard_normal((400, n_candidates)) * 0.05
    examples = [_example(rng, ITEMS, user % 200, user < 200) for user in range(400)]
    last = n_candidates - 1
    reached[:, last] += 0.1
    reached[:, 8] += 0.102
    reached[:, ITEMS] += 0.105  # a part alone
    assert best_of(reached, examples, CLEAR) == last
    reached[:, 8] += 0.1
    assert best_of(reached, examples, CLEAR) == 8
    reached[200:, 8] -= 0.2  # worse for short parts of long histories
    assert best_of(reached, examples, CLEAR) == last


def test_chance_among_all_mixtures_does_not_change_the_usual_weights() -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        noise = [_example(rng, ITEMS, user) for user in range(300)]
        for example in noise:
            example.others[:] = rng.standard_normal(example.others.shape)
            example.factors[:] = rng.standard_normal(example.factors.shape)
        np.testing.assert_array_equal(weigh(noise, [], 0)[0], USUAL_WEIGHTS)


def test_examples_of_one_length_change_the_weights_of_all() -> None:
    rng = np.random.default_rng(0)
    weights, _ = weigh([_example(rng, ITEMS, user) for user in range(300)], [], 0)
    shares = weights[:, ITEMS] / weights[:, [FACTORS, ITEMS]].sum(axis=1)
    usual = USUAL_WEIGHTS[:, ITEMS] / USUAL_WEIGHTS[:, [FACTORS, ITEMS]].sum(axis=1)
    assert np.all(shares > usual)


@pytest.mark.parametrize("part", [FACTORS, ITEMS, POPULARITY])
def test_a_part_that_is_better_alone_is_never_lost_to_the_blend(part: int) -> None:
    weights, figures = _chosen(part)
    best_part = max(figures[f"ndcg@20_of_{name}_at_11"].value for name in PART_NAMES)
    assert figures[f"ndcg@20_of_{PART_NAMES[part]}_at_11"].value == best_part
    reached = figures["ndcg@20_of_blend_at_11"]
    assert reached.value >= 0.98 * best_part
    assert reached.low < reached.value < reached.high
    assert weights[part] >= 0.7
    assert weights[FACTORS] > 0  # so that unrated items are ranked


def test_the_weight_of_transitions_follows_their_figures() -> None:
    weights, _ = _chosen(TRANSITIONS)
    assert weights[TRANSITIONS] / weights[FACTORS] > USUAL[TRANSITIONS][AT] / USUAL[FACTORS][AT]
    rng = np.random.default_rng(0)
    misled = [_example(rng, FACTORS, user) for user in range(300)]
    for example in misled:
        example.others[TRANSITIONS - 1] -= 1.5 * example.hits
    assert weigh(misled, misled, 0)[0][AT, TRANSITIONS] < np.float32(USUAL[TRANSITIONS][AT])
    assert _chosen(FACTORS, n_examples=3)[0][TRANSITIONS] == np.float32(USUAL[TRANSITIONS][AT])


def test_few_users_leave_the_usual_weights_and_lengths_between_knots_get_weights_between() -> None:
    features = ItemFeatures.blank(np.arange(30))
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((25, 30)) < 0.5)
    catalog = features.item_ids
    interactions = Interactions.from_arrays(users, items, np.full(len(users), 4.0), catalog=catalog)
    blend = train_hybrid(interactions, features, Config(factors=8, iterations=3)).blend
    assert blend.at(1).tolist() == np.array([USUAL[part][0] for part in range(N_PARTS)], np.float32).tolist()
    assert blend.at(10_000)[ITEMS] == np.float32(USUAL[ITEMS][-1])
    between = [float(blend.at(n)[ITEMS]) for n in (24, 30, 40, 47)]
    assert between == sorted(between)
    assert USUAL[ITEMS][4] < between[1] < USUAL[ITEMS][5]
    history = History.of([1, 2, 3], 5)
    weights = blend.at(3)
    parts = blend.by_factors(history, np.float32(1))
    items_part = np.zeros_like(parts)
    blend.add_by_items(items_part, history, np.float32(1))
    np.testing.assert_allclose(
        blend.scores(history),
        weights[FACTORS] * parts + weights[ITEMS] * items_part + weights[POPULARITY] * blend.popularity,
        rtol=1e-4,
        atol=1e-5,
    )
    rated = np.bincount(interactions.user_items.indices, minlength=30) > 0
    for part in (parts, items_part):
        assert part[rated].mean() == pytest.approx(0, abs=1e-4)
        assert part[rated].std() == pytest.approx(1, abs=1e-3)
    assert len(KNOTS) == len(blend.weights)


def test_popularity_is_that_of_today_but_a_classic_stays() -> None:
    now, then = 2_000_000_000, 2_000_000_000 - int(4 * HALF_LIFE)
    users = np.arange(30)
    items = np.repeat([1, 2, 3], [12, 8, 10])
    timestamps = np.where(items == 1, then, now)
    interactions = Interactions.from_arrays(users, items, np.full(30, 4.0), timestamps)
    order = np.argsort(-popularity(interactions, np.full(3, np.nan, np.float32)))
    assert order.tolist() == [2, 1, 0]
    fresh = freshness(np.array([now, then, now - int(60 * HALF_LIFE), 0]))
    assert fresh[0] == 1
    assert fresh[1] == pytest.approx(FLOOR + (1 - FLOOR) / 16)
    assert fresh[2] == pytest.approx(FLOOR)
    assert fresh[3] == pytest.approx(fresh[:3].mean())
    assert (freshness(np.zeros(4, np.int64)) == 1).all()
