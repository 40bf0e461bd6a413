"""Evaluate ranked lists of several models on one split, over the same users and the whole catalog.

There is no option to sample candidate items: it changes which model wins (Krichene and Rendle, KDD 2020).
"""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from recommender import metrics
from recommender.evaluation import predictions
from recommender.evaluation.pooling import Measured
from recommender.evaluation.predictions import Predictor
from recommender.interactions import History, Interactions
from recommender.metrics import RELEVANT_STARS
from recommender.progress import Progress
from recommender.splits import Split

KS = (10, 20, 50)
HALF = 50  # percent: a rounded match below it counts as low

# (history, k) -> at most k items, int32, best first; each once, none of the history.
Ranker = Callable[[History, int], NDArray[np.int32]]


def measure(
    split: Split,
    rankers: Mapping[str, Ranker],
    predictors: Mapping[str, Predictor],
    *,
    vectors: NDArray[np.float32],
    rng: np.random.Generator,
    match: Predictor | None = None,
    ks: tuple[int, ...] = KS,
    allowed: NDArray[np.bool_] | None = None,
    max_users: int | None = None,
    progress: Progress = lambda _stage, _fraction: None,
) -> Measured:
    """Measure rankers and predictors on every user with held-out ratings.

    Popularity and random rankers are added. vectors: float32 (n_items, width), rows of length 1, for the
    diversity of lists. match: predicts the match percents of the items of each list. allowed: bool
    (n_items,), the items a list may contain if the protocol limits them, for the added rankers only.
    max_users: a random sample of this many users if there are more.
    Raises ValueError if no user has a liked item held out, and if a ranker returns an item twice or one of
    the history.
    """
    user_idx = predictions.users_with(split.held_out, RELEVANT_STARS, max_users, rng)
    if rankers and not len(user_idx):
        raise ValueError(f"no user has an item of {RELEVANT_STARS:g} stars or more held out")
    entries = {**rankers, **_plain_rankers(split.train, rng, allowed)} if rankers else {}
    per_user: dict[str, dict[str, NDArray[np.float64]]] = {}
    totals: dict[str, dict[str, float]] = {}
    for name, rank in entries.items():
        lists = rank_all(split, rank, user_idx, max(ks), partial(progress, name))
        per_user[name] = _ranking_figures(split, lists, user_idx, ks, vectors)
        totals[name] = _totals(split.train, lists, ks)
        if match is not None:
            totals[name] |= _match_figures(split, lists, user_idx, ks, match)
    ids = split.histories.user_ids[user_idx]
    errors = predictions.errors_of(split, predictors, max_users, rng)
    return Measured(split.train.n_items, split.train.nnz, split.held_out.nnz, ids, per_user, totals, errors)


def _plain_rankers(
    train: Interactions, rng: np.random.Generator, allowed: NDArray[np.bool_] | None
) -> dict[str, Ranker]:
    """The rankers that every comparison has."""
    return {
        "popularity": popularity_ranker(train, allowed),
        "random": random_ranker(train.n_items, rng, allowed),
    }


def popularity_ranker(train: Interactions, allowed: NDArray[np.bool_] | None = None) -> Ranker:
    """Rank items by their number of ratings; ties go to the lower item id."""
    counts = np.bincount(train.user_items.indices, minlength=train.n_items)
    order = np.argsort(-counts, kind="stable").astype(np.int32)
    if allowed is not None:
        order = order[allowed[order]]

    def rank(history: History, k: int) -> NDArray[np.int32]:
        top = order[: k + len(history)]
        return np.asarray(top[~np.isin(top, history.item_idx)][:k])

    return rank


def random_ranker(n_items: int, rng: np.random.Generator, allowed: NDArray[np.bool_] | None = None) -> Ranker:
    """Rank items in random order."""
    items = (
        np.arange(n_items, dtype=np.int32) if allowed is None else np.flatnonzero(allowed).astype(np.int32)
    )

    def rank(history: History, k: int) -> NDArray[np.int32]:
        drawn = rng.permutation(items)
        return np.asarray(drawn[~np.isin(drawn, history.item_idx)][:k])

    return rank


def rank_all(
    split: Split,
    rank: Ranker,
    user_idx: NDArray[np.intp],
    depth: int,
    progress: Callable[[float], None] = lambda _fraction: None,
) -> NDArray[np.int32]:
    """Return each user's list, int32 (len(user_idx), depth), padded with -1.

    Raises ValueError for a list with a repeated item or an item of the history.
    """
    lists = np.full((len(user_idx), depth), -1, np.int32)
    for row, user in enumerate(user_idx):
        history = split.histories.history(int(user))
        ranked = rank(history, depth)[:depth]
        if len(np.unique(ranked)) < len(ranked) or np.isin(ranked, history.item_idx).any():
            raise ValueError("a list contains an item twice, or one that the user has rated")
        lists[row, : len(ranked)] = ranked
        progress((row + 1) / len(user_idx))
    return lists


def _ranking_figures(
    split: Split,
    lists: NDArray[np.int32],
    user_idx: NDArray[np.intp],
    ks: tuple[int, ...],
    vectors: NDArray[np.float32],
) -> dict[str, NDArray[np.float64]]:
    hits = np.zeros(lists.shape, bool)
    n_relevant = np.zeros(len(user_idx), np.int64)
    for row, user in enumerate(user_idx):
        held = split.held_out.history(int(user))
        relevant = held.item_idx[held.stars >= RELEVANT_STARS]
        hits[row] = np.isin(lists[row], relevant)
        n_relevant[row] = len(relevant)
    # One more rater for each item, so that the novelty of an unrated item is finite.
    share = (_counts(split.train) + 1) / (split.train.n_users + 1)
    figures: dict[str, NDArray[np.float64]] = {}
    for k in ks:
        shown = [row[:k][row[:k] >= 0] for row in lists]
        figures |= {
            f"precision@{k}": metrics.precision(hits, k),
            f"recall@{k}": metrics.recall(hits, n_relevant, k),
            f"capped_recall@{k}": metrics.recall(hits, n_relevant, k, capped=True),
            f"ndcg@{k}": metrics.ndcg(hits, n_relevant, k),
            f"mrr@{k}": metrics.reciprocal_rank(hits, k),
            f"map@{k}": metrics.average_precision(hits, n_relevant, k),
            f"diversity@{k}": np.array([metrics.intra_list_diversity(row, vectors) for row in shown]),
            f"novelty@{k}": np.array([metrics.novelty(row, share) for row in shown]),
        }
    return figures


def _totals(train: Interactions, lists: NDArray[np.int32], ks: tuple[int, ...]) -> dict[str, float]:
    totals = {}
    for k in ks:
        shown = lists[:, :k]
        exposure = np.bincount(shown[shown >= 0], minlength=train.n_items)
        totals[f"coverage@{k}"] = metrics.coverage(exposure)
        totals[f"gini@{k}"] = metrics.gini(exposure)
        totals[f"popularity_share@{k}"] = metrics.popularity_share(exposure, _counts(train))
    return totals


def _match_figures(
    split: Split,
    lists: NDArray[np.int32],
    user_idx: NDArray[np.intp],
    ks: tuple[int, ...],
    match: Predictor,
) -> dict[str, float]:
    """The mean rank correlation of order and match percent, and the share of matches under 50 %."""
    percents = []
    for row, user in zip(lists, user_idx, strict=True):
        shown = row[row >= 0]
        percents.append(match(split.histories.history(int(user)), shown).match_percent)
    figures = {}
    for k in ks:
        known = [one[:k][np.isfinite(one[:k])] for one in percents]
        agreement = np.array([metrics.rank_correlation(one) for one in known])
        low = np.rint(np.concatenate(known)) < HALF if known else np.empty(0)
        figures[f"match_agreement@{k}"] = _mean(agreement[np.isfinite(agreement)])
        figures[f"low_match@{k}"] = _mean(low)
    return figures


def _mean(values: NDArray[np.generic]) -> float:
    return float(values.mean()) if values.size else float("nan")


def _counts(train: Interactions) -> NDArray[np.intp]:
    return np.bincount(train.user_items.indices, minlength=train.n_items)
