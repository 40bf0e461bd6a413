"""Pooled evaluations: users of several splits count once, and intervals become narrower."""

import numpy as np
import pytest

from recommender.evaluation.pooling import Measured, pooled, users_of
from recommender.evaluation.predictions import Errors


def measured(ids: list[int], values: list[float], squares: list[float]) -> Measured:
    errors = Errors(
        np.array(ids),
        np.full(len(ids), 2.0),
        {"ours": np.array(squares), "other": np.array(squares) + 1},
        {"ours": {"mae": sum(squares)}, "other": {"mae": 0.0}},
    )
    per_user = {"ours": {"ndcg@10": np.array(values)}, "other": {"ndcg@10": np.zeros(len(ids))}}
    totals = {name: {"coverage@10": 0.5} for name in per_user}
    return Measured(9, 100 + len(ids), 2 * len(ids), np.array(ids), per_user, totals, errors)


def test_a_user_of_two_splits_counts_once_with_the_mean() -> None:
    parts = [measured([1, 2], [0.2, 0.4], [1.0, 2.0]), measured([2, 3], [0.8, 1.0], [3.0, 4.0])]
    evaluation = pooled(parts, ["ours"], 0)
    assert (evaluation.n_users, evaluation.n_train, evaluation.n_held_out) == (3, 102, 8)
    ours = evaluation.ranking["ours"]
    assert ours.figures["ndcg@10"].value == pytest.approx((0.2 + 0.6 + 1.0) / 3)
    assert ours.against["other"]["ndcg@10"].value == pytest.approx(0.6)
    assert ours.totals == {"coverage@10": 0.5}
    # All eight ratings count for the RMSE, but users are resampled, not ratings.
    stars = evaluation.ratings["ours"]
    assert stars.figures["rmse"].value == pytest.approx(np.sqrt(10 / 8))
    assert stars.totals == {"mae": 5.0}
    users = users_of(parts, "ours")
    assert users.ids.tolist() == users.rated_ids.tolist() == [1, 2, 3]
    assert users.counts.tolist() == [2, 4, 2]
    assert users.squares.tolist() == [1, 5, 4]


def test_a_figure_that_is_unknown_on_one_split_is_that_of_the_other() -> None:
    parts = [measured([1, 2], [np.nan, 0.4], [1.0, 1.0]), measured([1, 2], [0.5, np.nan], [1.0, 1.0])]
    assert users_of(parts, "ours").figures["ndcg@10"].tolist() == [0.5, 0.4]


def test_more_seeds_give_narrower_intervals() -> None:
    rng = np.random.default_rng(0)
    parts = [
        measured(list(range(start, start + 50)), rng.random(50).tolist(), rng.random(50).tolist())
        for start in range(0, 400, 50)
    ]
    one, all_ = (pooled(some, ["ours"], 0) for some in (parts[:1], parts))
    for kind, figure in (("ranking", "ndcg@10"), ("ratings", "rmse")):
        widths = [
            estimate.high - estimate.low
            for estimate in (getattr(each, kind)["ours"].figures[figure] for each in (one, all_))
        ]
        assert widths[1] < 0.5 * widths[0]
