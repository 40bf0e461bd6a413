"""Baselines find simulated preferences, and protocols keep held-out ratings out of training."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from recommender import splits
from recommender.evaluation import baseline_settings, baselines, compare, protocols
from recommender.evaluation.baselines import Scores
from recommender.evaluation.entrants import Entrants
from recommender.evaluation.protocols import Protocol
from recommender.interactions import History, Interactions
from recommender.item_features import ItemFeatures
from recommender.scorers.likes import likes
from recommender.training.config import Config

N_ITEMS, N_USERS = 60, 120


@pytest.fixture(scope="module")
def ratings() -> Interactions:
    """Three kinds of users, each liking every third item; the last item has no ratings."""
    rng = np.random.default_rng(2)
    users = np.repeat(np.arange(N_USERS), 24)
    items = np.concatenate([rng.permutation(N_ITEMS - 1)[:24] for _ in range(N_USERS)])
    stars = np.where(users % 3 == items % 3, 5.0, 2.0)
    return Interactions.from_arrays(
        users, items, stars, rng.integers(1, 10**6, users.size), catalog=np.arange(N_ITEMS)
    )


MODELS: dict[str, Callable[[Interactions], Scores]] = {
    "item-knn": partial(baselines.item_knn, neighbours=10),
    "pure-svd": partial(baselines.pure_svd, factors=3),
    "ease": partial(baselines.ease, regularization=10.0),
    "ials": partial(baselines.ials, factors=4, regularization=0.01, alpha0=0.1),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_liking_leads_to_its_kind(ratings: Interactions, name: str) -> None:
    ranked = baselines.ranker(ratings, MODELS[name](ratings))
    for kind in range(3):
        history = History.of([kind, kind + 3, kind + 6, (kind + 1) % 3], [5, 4, 5, 1])
        found = ranked(history, 12)
        assert (found % 3 == kind).all()
        assert not np.isin(found, history.item_idx).any()


def test_without_a_liking_items_come_by_popularity_and_only_those_allowed(ratings: Interactions) -> None:
    allowed = np.arange(N_ITEMS) % 2 == 0
    ranked = baselines.ranker(ratings, MODELS["ease"](ratings), allowed)
    counts = np.bincount(ratings.user_items.indices, minlength=N_ITEMS)
    found = ranked(History.of([0], [1.0]), 100)
    assert found.tolist() == sorted(range(2, N_ITEMS, 2), key=lambda item: (-counts[item], item))


def test_ease_solves_its_equation(ratings: Interactions) -> None:
    """Its weights are the constrained minimum: no other column of zero diagonal does better."""
    ones = likes(ratings).toarray().astype(np.float64)
    scores = baselines.ease(ratings, regularization=10.0)
    weights = np.stack([scores(History.of([item])) for item in range(N_ITEMS)]).astype(np.float64)
    assert (np.diag(weights) == 0).all()
    rng = np.random.default_rng(0)
    for column in range(0, N_ITEMS - 1, 7):

        def loss(b: np.ndarray, column: int = column) -> float:
            return float(((ones[:, column] - ones @ b) ** 2).sum() + 10 * b @ b)

        for _ in range(20):
            other = weights[:, column] + 0.02 * rng.normal(size=N_ITEMS)
            other[column] = 0
            assert loss(weights[:, column]) <= loss(other)


def test_knn_is_the_cosine_of_users(ratings: Interactions) -> None:
    ones = likes(ratings).toarray()
    scores = baselines.item_knn(ratings, neighbours=N_ITEMS)(History.of([4]))
    norms = np.linalg.norm(ones, axis=0)
    cosine = ones.T @ ones[:, 4] / np.maximum(norms * norms[4], 1e-9)
    cosine[4] = 0
    np.testing.assert_allclose(scores, cosine, atol=1e-6)


def test_damped_means_follow_item_and_user(ratings: Interactions) -> None:
    predict = baselines.damped_means(ratings)
    kind, harsh = (
        predict(History.of([0], [5.0]), np.array([1])),
        predict(History.of([0], [0.5]), np.array([1])),
    )
    assert harsh.stars[0] < kind.stars[0]
    predicted = predict(History.of([]), np.arange(N_ITEMS, dtype=np.int32))
    assert (predicted.low <= predicted.stars).all()
    assert predicted.stars[-1] == pytest.approx(float(ratings.user_items.data.mean()), abs=1e-5)


@pytest.mark.parametrize("protocol", list(Protocol))
def test_held_out_ratings_are_not_in_the_training_set(
    ratings: Interactions, protocol: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocols, "GIVEN", (0, 1, 5))
    trials = list(protocols.trials(protocol, ratings, np.random.default_rng(0)))
    assert len(trials) == {Protocol.NEW_USER: 6, Protocol.NEW_ITEM: 3}.get(protocol, 1)
    for trial in trials:
        pairs = [
            set(zip(part.user_ids[part.user_items.nonzero()[0]].tolist(), part.user_items.indices.tolist(),
                    strict=True))
            for part in (trial.split.train, trial.split.histories, trial.split.held_out)
        ]  # fmt: skip
        assert pairs[2]
        assert not pairs[2] & (pairs[0] | pairs[1])
        if protocol in (Protocol.STRONG, Protocol.NEW_USER):
            assert not {user for user, _ in pairs[0]} & {user for user, _ in pairs[2]}
        if trial.allowed is not None:
            assert trial.allowed[[item for _, item in pairs[2]]].all()
    inner = protocols.validation(protocol, trials[0].split.train, np.random.default_rng(1))
    assert inner.held_out.nnz > 0


def test_new_users_and_items_show_k_ratings(ratings: Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    users = list(protocols.trials(Protocol.NEW_USER, ratings, np.random.default_rng(0)))
    for trial, k in zip(users, protocols.SHOWN, strict=True):
        shown = np.diff(trial.split.histories.user_items.indptr)
        assert set(shown.tolist()) <= {0, k}
        assert trial.split.train is users[0].split.train
    monkeypatch.setattr(protocols, "GIVEN", (0, 1, 5))
    items = list(protocols.trials(Protocol.NEW_ITEM, ratings, np.random.default_rng(0)))
    for trial, k in zip(items, (0, 1, 5), strict=True):
        counts = np.bincount(trial.split.train.user_items.indices, minlength=N_ITEMS)
        assert trial.allowed is not None
        assert (counts[trial.allowed] == k).all()
        assert (trial.split.held_out.user_items != items[0].split.held_out.user_items).nnz == 0


@pytest.mark.parametrize("protocol", [Protocol.NEW_ITEM, Protocol.STRONG])
def test_too_little_data_is_refused(protocol: Protocol) -> None:
    few = Interactions.from_arrays([1, 1], [1, 2], [4.0, 5.0])
    with pytest.raises(ValueError, match=r"too few|at least two"):
        list(protocols.trials(protocol, few, np.random.default_rng(0)))


def test_settings_are_chosen_on_validation(ratings: Interactions) -> None:
    """A useless setting is not chosen."""
    inner = splits.strong_generalization(ratings, n_test_users=30, rng=np.random.default_rng(0))
    grid: tuple[baseline_settings.Settings, ...] = (
        {"regularization": 1e9, "alpha0": 0.1},
        {"regularization": 0.01, "alpha0": 0.1},
    )
    assert baseline_settings.chosen(baseline_settings.Baseline(baselines.ials, grid), inner) == grid[1]


def test_all_meet_on_the_same_users(ratings: Interactions) -> None:
    items = ItemFeatures.blank(ratings.item_ids)
    chosen = {"ease": baseline_settings.BASELINES["ease"]}
    (outcome,) = compare.compare(
        Protocol.STRONG,
        ratings,
        items,
        Entrants(config=Config(factors=6, iterations=3), baselines=chosen, arms=["svd", "popularity"]),
    )
    ranking = outcome.evaluation.ranking
    assert list(ranking) == ["marquee", "ease", "svd arm", "popularity arm", "popularity", "random"]
    arms = [ranking[name].figures["ndcg@10"].value for name in ("svd arm", "popularity arm")]
    assert arms[0] > arms[1]  # users like every third item
    difference = ranking["marquee"].against["ease"]["ndcg@10"]
    values = [ranking[name].figures["ndcg@10"].value for name in ("marquee", "ease")]
    assert difference.value == pytest.approx(values[0] - values[1])
    assert difference.low <= difference.value <= difference.high
    assert outcome.settings["ease"] in chosen["ease"].grid
    stars = outcome.evaluation.ratings
    assert stars["marquee"].against["damped means"]["rmse"].value < 0
