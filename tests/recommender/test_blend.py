"""Weights of the parts follow the ratings at hand, and a blend is never worse than its best part."""

import numpy as np
import pytest

from recommender import blend_fit
from recommender.blend import FACTORS, ITEMS, KNOTS, POPULARITY
from recommender.blend_fit import MIXTURES, USUAL
from recommender.config import Config
from recommender.content import Films
from recommender.hybrid import Hybrid
from recommender.interactions import History, Interactions
from recommender.popularity import FLOOR, HALF_LIFE, freshness, popularity

CANDIDATES = np.array([[1, 0.5, 0], *MIXTURES], np.float32)


def _reached(means: dict[int, float], n: int = 400) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal((n, 1)) * 0.1
    reached = np.full((n, len(CANDIDATES)), 0.2) + noise
    for column, mean in means.items():
        reached[:, column] = mean + noise[:, 0] + np.random.default_rng(column).standard_normal(n) * 0.1
    return reached


def test_other_weights_must_be_clearly_better_than_the_usual_ones() -> None:
    by_chance, _ = blend_fit._choose(_reached({0: 0.3, 8: 0.302}), CANDIDATES)
    assert by_chance.tolist() == CANDIDATES[0].tolist()
    clearly, figures = blend_fit._choose(_reached({0: 0.3, 8: 0.4}), CANDIDATES)
    assert clearly.tolist() == CANDIDATES[8].tolist()
    assert figures["blend"] == pytest.approx(0.4, abs=0.03)


@pytest.mark.parametrize("part", [FACTORS, ITEMS, POPULARITY])
def test_a_part_that_is_better_alone_is_never_lost_to_the_blend(part: int) -> None:
    chosen, figures = blend_fit._choose(_reached({0: 0.3, 1 + part: 0.305}), CANDIDATES)
    assert figures["blend"] >= max(figures[name] for name in ("factors", "items", "popularity"))
    assert chosen.tolist() != CANDIDATES[0].tolist()


def test_few_users_leave_the_usual_weights_and_lengths_between_knots_get_weights_between() -> None:
    films = Films.blank(np.arange(30))
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((25, 30)) < 0.5)
    interactions = Interactions.from_arrays(users, items, np.full(len(users), 4.0), catalogue=films.item_ids)
    blend = Hybrid.fit(interactions, films, Config(factors=8, iterations=3)).blend
    assert blend.at(1).tolist() == np.array([USUAL[part][0] for part in range(3)], np.float32).tolist()
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
