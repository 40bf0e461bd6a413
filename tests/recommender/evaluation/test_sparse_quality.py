"""A floor on a sparse sample without content: the blend is no worse than its parts and the baselines."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recommender import metrics, splits
from recommender.evaluation import baselines
from recommender.evaluation.baselines import Scores
from recommender.interactions import History, Interactions
from recommender.item_features import ItemFeatures
from recommender.model.nearest import top
from recommender.splits import Split
from recommender.training.config import Config
from recommender.training.train import train_hybrid

RATINGS = Path(__file__).parents[4] / "shared" / "data" / "movietweetings" / "latest_ratings.dat"
N_USERS = 3_000


def _sample() -> Interactions:
    """Users of MovieTweetings with at most 40 ratings; movies without a list, so without content."""
    if not RATINGS.exists():
        pytest.skip(f"MovieTweetings is not at {RATINGS.parent}")
    table = np.loadtxt(RATINGS, delimiter=":", usecols=(0, 2, 4, 6), dtype=np.int64)
    chosen = np.random.default_rng(0).permutation(np.unique(table[:, 0]))[:N_USERS]
    user, movie, stars, time = table[np.isin(table[:, 0], chosen)].T
    return Interactions.from_arrays(user, movie, np.maximum(stars / 2, 0.5), time)


def _ndcg(split: Split, scores: Scores) -> np.ndarray:
    values = []
    for user in range(split.held_out.n_users):
        history, held = split.histories.history(user), split.held_out.history(user)
        relevant = held.item_idx[held.stars >= metrics.RELEVANT_STARS]
        if len(relevant) and len(history):
            ranked = scores(history).copy()
            ranked[history.item_idx] = -np.inf
            hits = np.isin(top(ranked, 10), relevant)[None]
            values.append(metrics.ndcg(hits, np.array([len(relevant)]), 10)[0])
    return np.array(values)


def test_on_sparse_ratings_the_blend_is_no_worse_than_its_parts_and_the_baselines() -> None:
    interactions = _sample()
    rng = np.random.default_rng(0)
    split = splits.strong_generalization(interactions, n_test_users=N_USERS // 4, rng=rng)
    blend = train_hybrid(split.train, ItemFeatures.blank(split.train.item_ids), Config(factors=32)).blend

    def part(index: int) -> Scores:
        weights = np.tile(np.eye(4, dtype=np.float32)[index], (len(blend.weights), 1))
        return replace(blend, weights=weights).scores

    def popular(_history: History) -> np.ndarray:
        return blend.popularity

    ours = _ndcg(split, blend.scores)
    others = {f"part {index}": part(index) for index in range(3)} | {
        "popularity": popular,
        "iALS": baselines.ials(split.train, factors=32, regularization=0.01, alpha0=0.4),
    }
    for name, scores in others.items():
        gained = ours - _ndcg(split, scores)
        error = gained.std() / np.sqrt(len(gained))
        assert gained.mean() > -error, f"{name}: {gained.mean():+.4f}, standard error {error:.4f}"
    assert len(ours) > 150
    assert ours.mean() > 0.06
