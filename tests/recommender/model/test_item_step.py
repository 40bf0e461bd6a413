"""Online updates of item factors agree with a fit."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from recommender import metrics
from recommender.evaluation import protocols
from recommender.evaluation.protocols import Protocol, Trial
from recommender.interactions import History, Interactions
from recommender.item_features import ItemFeatures
from recommender.model.fold_in import basis_of, graded
from recommender.model.item_step import ItemStep
from recommender.training import fit_parts, ials
from recommender.training.config import Config
from recommender.training.fit_parts import Fitted

SCALES = {"regularization": 0.02, "alpha0": 0.3}


def test_an_unrated_item_gets_exactly_its_half_step() -> None:
    rng = np.random.default_rng(3)
    users, items = (rng.standard_normal((n, 5)).astype(np.float32) for n in (60, 40))
    counts = rng.integers(1, 9, 60)
    placed = rng.standard_normal(5).astype(np.float32)
    raters = np.sort(rng.permutation(60)[:12])
    stars = (rng.integers(1, 11, 12) / 2).astype(np.float32)
    ratings = sparse.csr_matrix((graded(stars), raters, [0, 12]), shape=(1, 60))
    fitted = ials.toward(placed[None], ratings, users, **SCALES)[0]
    change = basis_of(items[:39], users, counts).change
    rated = np.append(np.ones(39, np.int64), 0)
    there = (placed @ change).astype(np.float32)
    step = ItemStep.of(items, rated, np.tile(there, (40, 1)), user_factors=users, counts=counts, **SCALES)
    folded = (users[raters] @ np.linalg.inv(change).T).astype(np.float32)
    moved = step.moved(39, there, folded, graded(stars))
    np.testing.assert_allclose(moved, fitted @ change, rtol=2e-3, atol=2e-4)


def test_the_more_ratings_the_fit_has_seen_the_less_a_new_one_moves_a_item() -> None:
    rng = np.random.default_rng(5)
    users, items = (rng.standard_normal((n, 4)).astype(np.float32) for n in (50, 3))
    seen = np.array([0, 20, 500])
    placed, per_user = np.zeros((3, 4), np.float32), np.full(50, 30)
    step = ItemStep.of(items, np.maximum(seen, 1), placed, user_factors=users, counts=per_user, **SCALES)
    step = replace(step, counts=seen.astype(np.int32))
    row, liked = np.zeros(4, np.float32), np.full(3, 1.2, np.float32)
    moves = [np.linalg.norm(step.moved(item, row, users[:3], liked)) for item in range(3)]
    assert moves[0] > 2 * moves[1] > 4 * moves[2] > 0


def _moved(fitted: Fitted, trial: Trial) -> np.ndarray:
    """The factors of the items, the new ones moved by their ratings."""
    ratings, model = trial.split.train, fitted.model
    assert fitted.item_step is not None
    assert trial.allowed is not None
    by_item, factors = ratings.user_items.tocsc(), model.item_factors.copy()
    for item in np.flatnonzero(trial.allowed).tolist():
        given = slice(by_item.indptr[item], by_item.indptr[item + 1])
        raters = [ratings.history(int(user)).without(item) for user in by_item.indices[given]]
        users = np.stack([model.user_factors(rater) for rater in raters])
        row = model.item_factors[item]
        factors[item] = fitted.item_step.moved(item, row, users, graded(by_item.data[given]))
    return factors


def _ndcg(fitted: Fitted, factors: np.ndarray, trial: Trial) -> float:
    """NDCG@10 of the new items ranked among themselves."""
    assert trial.allowed is not None
    new, split, reached = np.flatnonzero(trial.allowed), trial.split, []
    for user in range(0, split.train.n_users, 2):
        held, known = split.held_out.history(user), split.histories.history(user)
        relevant = held.item_idx[held.stars >= 4]
        if len(relevant) and len(known):
            history = History(known.item_idx, known.stars, known.timestamps)
            open_items = new[~np.isin(new, known.item_idx)]
            scores = factors[open_items] @ fitted.model.user_factors(history)
            best = open_items[np.argsort(-scores, kind="stable")[:10]]
            hits = np.isin(best, relevant)[None]
            reached.append(metrics.ndcg(hits, np.array([len(relevant)]), 10)[0])
    return float(np.mean(reached))


def test_ten_ratings_move_new_items_to_where_a_fit_would_put_them(
    latest_small: tuple[Interactions, ItemFeatures], latest_small_content: np.ndarray
) -> None:
    rng = np.random.default_rng(0)
    trials = {trial.label: trial for trial in protocols.trials(Protocol.NEW_ITEM, latest_small[0], rng)}
    content_only, ten = trials["0 ratings"], trials["10 ratings"]

    def fit(trial: Trial) -> Fitted:
        config, rng = Config(factors=32, iterations=5), np.random.default_rng(1)
        return fit_parts.fit_factors(trial.split.train, latest_small_content, config, rng, lambda _: None)

    before, after = fit(content_only), fit(ten)
    placed = _ndcg(before, before.model.item_factors, ten)
    moved = _ndcg(before, _moved(before, ten), ten)
    fitted = _ndcg(after, after.model.item_factors, ten)
    assert moved > placed + 0.01
    assert moved > 0.97 * fitted


@pytest.mark.parametrize("item", [0, 3])
def test_a_history_without_a_item_is_the_rest_of_it(item: int) -> None:
    history = History.of([1, 3, 5], [1, 2, 3])
    assert history.without(item).stars.tolist() == [1, 2, 3] if item == 0 else [1, 3]
