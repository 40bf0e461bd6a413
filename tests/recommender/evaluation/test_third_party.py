"""Models of other libraries, if they are installed, have the interface of the baselines."""

import numpy as np
import pytest

from recommender.evaluation import baselines, third_party
from recommender.interactions import History, Interactions

FOUND = {name: (baseline.fit, baseline.grid[0]) for name, baseline in third_party.baselines().items()}


@pytest.fixture(scope="module")
def ratings() -> Interactions:
    rng = np.random.default_rng(2)
    users = np.repeat(np.arange(90), 20)
    items = np.concatenate([rng.permutation(45)[:20] for _ in range(90)])
    stars = np.where(users % 3 == items % 3, 5.0, 2.0)
    return Interactions.from_arrays(users, items, stars, catalog=np.arange(48))


@pytest.mark.parametrize("name", ["implicit ALS", "implicit cosine", "LensKit ALS", "LensKit item-kNN"])
def test_a_liking_leads_to_its_kind(ratings: Interactions, name: str) -> None:
    if name not in FOUND:
        pytest.skip(f"{name.split(maxsplit=1)[0]} is not installed (extra `peers`)")
    fit, settings = FOUND[name]
    ranked = baselines.ranker(ratings, fit(ratings, **settings))
    history = History.of([0, 3, 6, 1], [5, 4, 5, 1])
    found = ranked(history, 44)
    assert (found[:8] % 3 == 0).mean() > 0.7
    assert sorted(found.tolist()) == [item for item in range(48) if item not in (0, 1, 3, 6)]


def test_stars_follow_the_history(ratings: Interactions) -> None:
    if not third_party.predictors():
        pytest.skip("LensKit is not installed (extra `peers`)")
    predict = third_party.predictors()["LensKit biased MF"](ratings)
    wanted = np.arange(12, 42, dtype=np.int32)
    predicted = predict(History.of([0, 3, 6, 9, 1, 4, 7], [5, 5, 5, 5, 1, 1, 1]), wanted)
    assert predicted.stars[wanted % 3 == 0].mean() > predicted.stars[wanted % 3 == 1].mean()
    assert np.isnan(predicted.match_percent).all()
