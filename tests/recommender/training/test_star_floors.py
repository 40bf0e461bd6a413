"""Floors of the quality of stars, intervals and match percents on MovieLens."""

import numpy as np
import pytest
from numpy.typing import NDArray

from recommender import metrics, splits
from recommender.interactions import Interactions
from recommender.item_features import ItemFeatures
from recommender.model.match import predict
from recommender.training.fit_match import fit_stars_and_match


def test_floors_on_movielens(
    latest_small: tuple[Interactions, ItemFeatures], latest_small_content: NDArray[np.float32]
) -> None:
    interactions, content = latest_small[0], latest_small_content
    split = splits.random_ratings(interactions, rng=np.random.default_rng(1))
    stars, match, figures = fit_stars_and_match(
        split.train, content, rng=np.random.default_rng(2), factors=8, iterations=10
    )
    ratings, n_items = split.train.user_items, interactions.n_items
    mean = ratings.data.mean()
    count = np.bincount(ratings.indices, minlength=n_items)
    total = np.bincount(ratings.indices, weights=ratings.data, minlength=n_items)
    item_mean = np.where(count > 0, total / np.maximum(count, 1), mean)
    truth, predicted, baseline = [], [], []
    for user in range(interactions.n_users):
        held = split.held_out.history(user)
        found = predict(stars, match, split.histories.history(user), held.item_idx)
        truth.append(held.stars)
        predicted.append(np.nan_to_num(found.stars, nan=mean))
        baseline.append(item_mean[held.item_idx])
    ours = metrics.rmse(np.concatenate(truth), np.concatenate(predicted))
    assert ours < 0.83
    assert ours < metrics.rmse(np.concatenate(truth), np.concatenate(baseline)) - 0.12
    assert figures["interval_coverage"] == pytest.approx(0.8, abs=0.02)
    assert figures["match_calibration_error"] < 0.03
    assert figures["match_auc"] > 0.8


@pytest.mark.parametrize("described", [True, False])
def test_floors_of_new_items_on_movielens(
    latest_small: tuple[Interactions, ItemFeatures],
    latest_small_content: NDArray[np.float32],
    described: bool,
) -> None:
    """Well-known items with 0, 1, 5 or 10 ratings in the training, described by content or not."""
    interactions = latest_small[0]
    items = interactions.user_items.indices
    rng = np.random.default_rng(0)
    well_known = np.flatnonzero(np.bincount(items, minlength=interactions.n_items) >= 40)
    given = np.full(interactions.n_items, -1)
    given[rng.permutation(well_known)[:240]] = np.resize([0, 1, 5, 10], 240)
    rank = np.empty(interactions.nnz, np.int64)  # of each rating among those of its item
    order = np.lexsort((rng.random(interactions.nnz), items))
    rank[order] = np.arange(len(items)) - np.searchsorted(items[order], items[order])
    new = given[items] >= 0
    train = interactions.with_ratings(~new | (rank < given[items]))
    held_out = interactions.with_ratings(new & (rank >= 10))
    content = latest_small_content if described else np.zeros((interactions.n_items, 1), np.float32)
    models = fit_stars_and_match(train, content, rng=np.random.default_rng(2), factors=8, iterations=10)[:2]
    histories = [held_out.history(user) for user in range(interactions.n_users)]
    shown = [predict(*models, train.history(u), held.item_idx) for u, held in enumerate(histories)]
    true, rated = (
        np.concatenate([getattr(held, name) for held in histories]) for name in ("stars", "item_idx")
    )
    stars, percent = (
        np.concatenate([getattr(one, name) for one in shown]) for name in ("stars", "match_percent")
    )
    assert np.isnan(stars[given[rated] == 0]).all() == (not described)
    floors = (0.83, 0.85, 0.86, 0.88) if described else (np.nan, 0.935, 0.93, 0.9)
    for n_given, floor in zip((0, 1, 5, 10), floors, strict=True):
        of = (given[rated] == n_given) & np.isfinite(stars)
        if of.any():
            assert metrics.rmse(true[of], stars[of]) < floor
            assert percent[of].mean() / 100 == pytest.approx(
                (true[of] >= 4).mean(), abs=0.06 if described else 0.11
            )
