"""Evaluation: an oracle is perfect, chance is chance, and a ranker that cheats is caught."""

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from recommender import splits
from recommender.evaluation.pooling import Evaluation, pooled
from recommender.evaluation.predictions import Predictor
from recommender.evaluation.ranking import Ranker, measure, popularity_ranker
from recommender.interactions import History, Interactions
from recommender.model.match import Predictions
from recommender.splits import Split

N_ITEMS = 60


@pytest.fixture(scope="module")
def split() -> Split:
    """Members like every third item, and see items of low number more often."""
    rng = np.random.default_rng(0)
    seen = rng.random((80, N_ITEMS)) < np.linspace(0.9, 0.2, N_ITEMS)
    user_ids, item_ids = np.nonzero(seen)
    stars = np.where(item_ids % 3 == user_ids % 3, 5.0, 2.0)
    interactions = Interactions.from_arrays(user_ids, item_ids, stars, rng.integers(1, 10**6, len(stars)))
    return splits.temporal_per_user(interactions, rng=rng)


def _oracle(split: Split) -> Ranker:
    by_history = {
        tuple(split.histories.history(u).item_idx): split.held_out.history(u)
        for u in range(split.histories.n_users)
    }

    def score(history: History, k: int) -> NDArray[np.int32]:
        held = by_history[tuple(history.item_idx)]
        best = held.item_idx[np.argsort(-held.stars, kind="stable")]
        rest = np.setdiff1d(np.arange(N_ITEMS), np.concatenate([best, history.item_idx]))
        return np.concatenate([best, rest]).astype(np.int32)[:k]

    return score


def _constant(_history: History, item_idx: NDArray[np.int32]) -> Predictions:
    n = len(item_idx)
    return Predictions(*(np.full(n, value, np.float32) for value in (3.0, 1.5, 4.5, 50.0)))


def evaluate(
    split: Split, rankers: dict[str, Ranker], predictors: dict[str, Predictor], **settings: Any
) -> Evaluation:
    measured = measure(split, rankers, predictors, vectors=np.eye(N_ITEMS, dtype=np.float32), **settings)
    return pooled([measured], list(rankers), 0)


@pytest.fixture(scope="module")
def evaluation(split: Split) -> Evaluation:
    return evaluate(
        split,
        {"oracle": _oracle(split)},
        {"constant": _constant},
        rng=np.random.default_rng(1),
        ks=(5, 10),
    )


def test_an_oracle_is_perfect_and_beats_the_baselines(evaluation: Evaluation) -> None:
    oracle = evaluation.ranking["oracle"]
    for figure in ("ndcg@5", "ndcg@10", "mrr@5", "map@10", "capped_recall@5"):
        assert oracle.figures[figure].value == pytest.approx(1)
    assert set(evaluation.ranking) == {"oracle", "popularity", "random"}
    assert oracle.against["popularity"]["ndcg@10"].low > 0
    assert oracle.against["random"]["ndcg@10"].low > 0


def test_a_random_list_has_the_expected_precision(split: Split, evaluation: Evaluation) -> None:
    chances = []
    for user in range(split.histories.n_users):
        held = split.held_out.history(user)
        if (relevant := int((held.stars >= 4).sum())) > 0:
            chances.append(relevant / (N_ITEMS - len(split.histories.history(user))))
    assert evaluation.n_users == len(chances)
    precision = evaluation.ranking["random"].figures["precision@10"]
    assert precision.low < np.mean(chances) < precision.high


def test_figures_of_all_lists(evaluation: Evaluation) -> None:
    popular, chance = evaluation.ranking["popularity"].totals, evaluation.ranking["random"].totals
    assert chance["coverage@10"] == 1
    assert popular["coverage@10"] < 1
    assert popular["gini@10"] > chance["gini@10"]
    assert popular["popularity_share@10"] > chance["popularity_share@10"]
    # Unit vectors of all items are at right angles: every list has the maximum diversity.
    assert evaluation.ranking["popularity"].figures["diversity@10"].value == pytest.approx(1)


def test_stars_by_hand(split: Split, evaluation: Evaluation) -> None:
    report = evaluation.ratings["constant"]
    stars = split.held_out.user_items.data
    rmse = report.figures["rmse"]
    assert rmse.value == pytest.approx(np.sqrt(np.mean((stars - 3) ** 2)))
    assert rmse.low < rmse.value < rmse.high
    assert report.totals["interval_coverage"] == pytest.approx(np.mean(stars == 2))
    assert report.totals["match_auc"] == 0.5
    assert report.totals["match_calibration_error"] == pytest.approx(abs(np.mean(stars == 5) - 0.5), abs=0.05)


def test_the_result_is_json(evaluation: Evaluation) -> None:
    assert json.loads(json.dumps(asdict(evaluation), allow_nan=False))["n_users"] == evaluation.n_users


def test_users_can_be_sampled_and_the_run_repeated(split: Split) -> None:
    runs = [
        evaluate(
            split,
            {},
            {},
            rng=np.random.default_rng(3),
            max_users=20,
        )
        for _ in range(2)
    ]
    assert runs[0].n_users == 20
    assert runs[0] == runs[1]


def test_popularity_never_shows_a_item_of_the_history(split: Split) -> None:
    ranker = popularity_ranker(split.train)
    history = split.histories.history(0)
    ranked = ranker(history, N_ITEMS)
    assert not set(ranked.tolist()) & set(history.item_idx.tolist())
    assert len(ranked) == N_ITEMS - len(history)
    counts = np.bincount(split.train.user_items.indices, minlength=N_ITEMS)
    assert (np.diff(counts[ranked]) <= 0).all()


@pytest.mark.parametrize("repeat_history", [True, False])
def test_a_list_that_cheats_is_refused(split: Split, *, repeat_history: bool) -> None:
    def cheat(history: History, _k: int) -> NDArray[np.int32]:
        return history.item_idx[:1] if repeat_history else np.array([3, 3], np.int32)

    with pytest.raises(ValueError, match="twice"):
        evaluate(
            split,
            {"cheat": cheat},
            {},
            rng=np.random.default_rng(1),
        )
