"""A model against its baselines on one split: the same users, the whole catalogue, never a sample of films.

Sampled candidates change which model wins (Krichene and Rendle, KDD 2020), so there is no option for them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from recommender import metrics
from recommender.interactions import History, Interactions
from recommender.metrics import Estimate
from recommender.splits import Split

RELEVANT_STARS = 4.0
KS = (10, 20, 50)

# The best films first, at most k, each once, none of the history.
Scorer = Callable[[History, int], NDArray[np.int32]]
Progress = Callable[[str, float], None]


class Judged(Protocol):
    """Predictions for some films, float32 arrays of one length; stars are nan where nothing is known."""

    @property
    def stars(self) -> NDArray[np.float32]: ...
    @property
    def low(self) -> NDArray[np.float32]: ...
    @property
    def high(self) -> NDArray[np.float32]: ...
    @property
    def match_percent(self) -> NDArray[np.float32]: ...


Judge = Callable[[History, NDArray[np.int32]], Judged]


@dataclass(frozen=True, slots=True)
class Report:
    """What one model reached.

    figures: means over users with their 95 % intervals, by name, such as "ndcg@10".
    against: ours minus the other model's, paired by user, by that model's name and then the figure's.
    totals: figures of all lists together, which have no mean over users, such as "coverage@10".
    """

    figures: dict[str, Estimate]
    against: dict[str, dict[str, Estimate]]
    totals: dict[str, float]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All models on one split; `dataclasses.asdict` gives the JSON."""

    n_users: int
    n_items: int
    n_train: int
    n_held_out: int
    relevant_stars: float
    ranking: dict[str, Report]
    ratings: dict[str, Report]


def evaluate(
    split: Split,
    scorers: Mapping[str, Scorer],
    judges: Mapping[str, Judge],
    *,
    vectors: NDArray[np.float32],
    rng: np.random.Generator,
    ks: tuple[int, ...] = KS,
    max_users: int | None = None,
    progress: Progress = lambda _stage, _fraction: None,
) -> Evaluation:
    """Rank and judge for every user with something held out, popularity and random always beside.

    vectors: float32 (n_items, width), rows of length 1, for the diversity of lists.
    max_users: a random sample of this many users where there are more.
    Raises ValueError when a scorer names a film twice or one of the history.
    """
    seed = int(rng.integers(2**63))
    user_idx = _users_with(split.held_out, RELEVANT_STARS, max_users, rng)
    baselines = {
        "popularity": popularity_scorer(split.train),
        "random": random_scorer(split.train.n_items, rng),
    }
    entries = {**scorers, **baselines}
    per_user: dict[str, dict[str, NDArray[np.float64]]] = {}
    totals: dict[str, dict[str, float]] = {}
    for name, scorer in entries.items():
        lists = rank_all(split, scorer, user_idx, max(ks), partial(progress, name))
        per_user[name] = _ranking_figures(split, lists, user_idx, ks, vectors)
        totals[name] = _totals(split.train, lists, ks)
    return Evaluation(
        n_users=len(user_idx),
        n_items=split.train.n_items,
        n_train=split.train.nnz,
        n_held_out=split.held_out.nnz,
        relevant_stars=RELEVANT_STARS,
        ranking={name: _report(name, per_user, totals[name], seed) for name in entries},
        ratings=_judge_all(split, judges, max_users, np.random.default_rng(seed)),
    )


def popularity_scorer(train: Interactions) -> Scorer:
    """The films with the most ratings; ties go to the lower item id."""
    counts = np.bincount(train.user_items.indices, minlength=train.n_items)
    order = np.argsort(-counts, kind="stable").astype(np.int32)

    def score(history: History, k: int) -> NDArray[np.int32]:
        top = order[: k + len(history)]
        return np.asarray(top[~np.isin(top, history.item_idx)][:k])

    return score


def random_scorer(n_items: int, rng: np.random.Generator) -> Scorer:
    """Films by lot."""

    def score(history: History, k: int) -> NDArray[np.int32]:
        drawn = rng.permutation(n_items).astype(np.int32)
        return np.asarray(drawn[~np.isin(drawn, history.item_idx)][:k])

    return score


def rank_all(
    split: Split,
    scorer: Scorer,
    user_idx: NDArray[np.intp],
    depth: int,
    progress: Callable[[float], None] = lambda _fraction: None,
) -> NDArray[np.int32]:
    """int32 (len(user_idx), depth): each user's list, -1 where it is shorter."""
    lists = np.full((len(user_idx), depth), -1, np.int32)
    for row, user in enumerate(user_idx):
        history = split.histories.history(int(user))
        ranked = scorer(history, depth)[:depth]
        if len(np.unique(ranked)) < len(ranked) or np.isin(ranked, history.item_idx).any():
            raise ValueError("a list names a film twice, or one that the user has rated")
        lists[row, : len(ranked)] = ranked
        progress((row + 1) / len(user_idx))
    return lists


def _users_with(
    held_out: Interactions, stars: float, max_users: int | None, rng: np.random.Generator
) -> NDArray[np.intp]:
    relevant = held_out.with_ratings(held_out.user_items.data >= stars)
    users = np.flatnonzero(np.diff(relevant.user_items.indptr))
    if max_users is not None and len(users) > max_users:
        users = np.sort(rng.choice(users, max_users, replace=False))
    return users


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
    # One rater more for each film: what nobody rated is very novel, not infinitely so.
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


def _counts(train: Interactions) -> NDArray[np.intp]:
    return np.bincount(train.user_items.indices, minlength=train.n_items)


def _report(
    name: str, per_user: dict[str, dict[str, NDArray[np.float64]]], totals: dict[str, float], seed: int
) -> Report:
    # The same draws of users for every figure, so that intervals of one table can be compared.
    figures = {
        figure: metrics.bootstrap(values, np.random.default_rng(seed))
        for figure, values in per_user[name].items()
    }
    against = {
        other: {
            figure: metrics.paired_difference(values, theirs[figure], np.random.default_rng(seed))
            for figure, values in per_user[name].items()
        }
        for other, theirs in per_user.items()
        if other != name
    }
    return Report(figures, against, totals)


def _judge_all(
    split: Split, judges: Mapping[str, Judge], max_users: int | None, rng: np.random.Generator
) -> dict[str, Report]:
    users = _users_with(split.held_out, 0.0, max_users, rng)
    rows = [(split.histories.history(int(user)), split.held_out.history(int(user))) for user in users]
    mean = float(split.train.user_items.data.mean()) if split.train.nnz else float("nan")
    return {name: _rating_report(judge, rows, mean, rng) for name, judge in judges.items()}


def _rating_report(
    judge: Judge, rows: list[tuple[History, History]], mean: float, rng: np.random.Generator
) -> Report:
    judged = [judge(history, held.item_idx) for history, held in rows]
    stars = np.concatenate([held.stars for _, held in rows])
    predicted = np.concatenate([one.stars for one in judged])
    known = np.isfinite(predicted)
    error = (np.where(known, predicted, mean) - stars).astype(np.float64)
    low = np.concatenate([one.low for one in judged])
    high = np.concatenate([one.high for one in judged])
    match = np.concatenate([one.match_percent for one in judged]) / 100
    owner = np.repeat(np.arange(len(rows)), [len(held) for _, held in rows])
    matched = np.isfinite(match)
    liked = stars[matched] >= RELEVANT_STARS
    both = liked.any() and not liked.all()
    return Report(
        figures={"rmse": _rmse_interval(error, owner, rng)},
        against={},
        totals={
            "mae": float(np.abs(error).mean()),
            "known_share": float(known.mean()),
            "interval_coverage": _mean(((stars >= low) & (stars <= high))[known]),
            "interval_width": _mean((high - low)[known]),
            "match_calibration_error": metrics.calibration_error(liked, match[matched]) if both else np.nan,
            "match_auc": metrics.auc(liked, match[matched]) if both else np.nan,
        },
    )


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _rmse_interval(
    error: NDArray[np.float64], owner: NDArray[np.intp], rng: np.random.Generator, n_draws: int = 1000
) -> Estimate:
    """RMSE over ratings with the interval of resampled users: a user's errors are not independent."""
    squares, count = np.bincount(owner, weights=error**2), np.bincount(owner)
    draws = [rng.integers(len(count), size=len(count)) for _ in range(n_draws)]
    values = [np.sqrt(squares[draw].sum() / count[draw].sum()) for draw in draws]
    low, high = np.quantile(values, [0.025, 0.975])
    return Estimate(float(np.sqrt((error**2).mean())), float(low), float(high))
