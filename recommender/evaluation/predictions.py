"""Evaluate predicted stars and match percents on held-out ratings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender import metrics
from recommender.interactions import History, Interactions
from recommender.metrics import RELEVANT_STARS, Estimate
from recommender.model.match import Predictions
from recommender.splits import Split

N_DRAWS = 1000  # bootstrap resamples of users
CHANCE_DRAWS = 20


Predictor = Callable[[History, NDArray[np.int32]], Predictions]


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of one model.

    figures: means over users with 95 % intervals, by name, such as "ndcg@10".
    against: this model minus another, paired by user, by the other model's name and then by figure; empty
    for popularity and random.
    totals: figures of all lists together that are not means over users, such as "coverage@10".
    """

    figures: dict[str, Estimate]
    against: dict[str, dict[str, Estimate]]
    totals: dict[str, float]


def users_with(
    held_out: Interactions, stars: float, max_users: int | None, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Users with a held-out rating >= stars, int64 ascending; a random sample of max_users if more."""
    relevant = held_out.with_ratings(held_out.user_items.data >= stars)
    users = np.flatnonzero(np.diff(relevant.user_items.indptr))
    if max_users is not None and len(users) > max_users:
        users = np.sort(rng.choice(users, max_users, replace=False))
    return users


def evaluate_predictions(
    split: Split, predictors: Mapping[str, Predictor], max_users: int | None, rng: np.random.Generator
) -> dict[str, Report]:
    """Evaluate each predictor on the held-out ratings of the same users.

    The mean of the training set stands in where a predictor returns nan.
    """
    users = users_with(split.held_out, 0.0, max_users, rng)
    histories = [split.histories.history(int(user)) for user in users]
    held = [split.held_out.history(int(user)) for user in users]
    if not held or not predictors:
        return {}
    stars = np.concatenate([one.stars for one in held])
    owner = np.repeat(np.arange(len(held)), [len(one) for one in held])
    mean = float(split.train.user_items.data.mean()) if split.train.nnz else float("nan")
    totals, squares = {}, []
    for name, predict in predictors.items():
        parts = [predict(history, one.item_idx) for history, one in zip(histories, held, strict=True)]
        error, totals[name] = _figures(parts, stars, mean)
        squares.append(np.bincount(owner, weights=error**2))
    return _reports(totals, np.stack(squares, axis=1), np.bincount(owner), rng)


def _figures(
    parts: list[Predictions], stars: NDArray[np.float32], mean: float
) -> tuple[NDArray[np.float64], dict[str, float]]:
    """Return the errors, float64 (n,) in stars, and the figures without an interval."""
    predicted, low, high, match = (
        np.concatenate([getattr(one, column) for one in parts])
        for column in ("stars", "low", "high", "match_percent")
    )
    known = np.isfinite(predicted)
    error = (np.where(known, predicted, mean) - stars).astype(np.float64)
    probability = match / 100
    matched = np.isfinite(match)
    liked = stars[matched] >= RELEVANT_STARS
    both = liked.any() and not liked.all()
    return error, {
        "mae": float(np.abs(error).mean()),
        "known_share": float(known.mean()),
        "interval_coverage": _mean(((stars >= low) & (stars <= high))[known & np.isfinite(low)]),
        "interval_width": _mean((high - low)[known & np.isfinite(low)]),
        "match_calibration_error": (
            metrics.calibration_error(liked, probability[matched]) if both else float("nan")
        ),
        "match_calibration_chance": _chance(probability[matched]) if both else float("nan"),
        "match_auc": metrics.auc(liked, probability[matched]) if both else float("nan"),
    }


def _reports(
    totals: dict[str, dict[str, float]],
    squares: NDArray[np.float64],
    counts: NDArray[np.intp],
    rng: np.random.Generator,
) -> dict[str, Report]:
    """RMSE over ratings with bootstrap intervals.

    Users are resampled, not ratings, because the errors of one user are not independent.
    squares: float64 (n_users, n_predictors), sums of squared errors over a user's `counts` ratings.
    """
    values = np.sqrt(squares.sum(axis=0) / counts.sum())
    draws = np.empty((N_DRAWS, len(totals)))
    for draw in draws:
        times = np.bincount(rng.integers(len(counts), size=len(counts)), minlength=len(counts))
        draw[:] = np.sqrt(times @ squares / (times @ counts))

    def estimate(value: float, drawn: NDArray[np.float64]) -> Estimate:
        low, high = np.quantile(drawn, [0.025, 0.975])
        return Estimate(float(value), float(low), float(high))

    return {
        name: Report(
            figures={"rmse": estimate(values[i], draws[:, i])},
            against={
                other: {"rmse": estimate(values[i] - values[j], draws[:, i] - draws[:, j])}
                for j, other in enumerate(totals)
                if j != i
            },
            totals=totals[name],
        )
        for i, name in enumerate(totals)
    }


def _chance(probability: NDArray[np.floating]) -> float:
    """The expected calibration error of perfectly calibrated probabilities on as many ratings."""
    rng = np.random.default_rng(0)
    drawn = [rng.random(len(probability)) < probability for _ in range(CHANCE_DRAWS)]
    return float(np.mean([metrics.calibration_error(happened, probability) for happened in drawn]))


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else float("nan")
