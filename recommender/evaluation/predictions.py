"""Evaluate predicted stars and match percents on held-out ratings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender import metrics
from recommender.interactions import History, Interactions
from recommender.metrics import RELEVANT_STARS
from recommender.model.match import Predictions
from recommender.splits import Split

CHANCE_DRAWS = 20


Predictor = Callable[[History, NDArray[np.int32]], Predictions]


@dataclass(frozen=True, slots=True)
class Errors:
    """The errors of predicted stars on one split.

    user_ids: int64 (n,). counts: float64 (n,), held-out ratings of each user. squares: float64 (n,), by
    model, the sum of squared errors over these ratings. totals: other figures of a model, by name.
    """

    user_ids: NDArray[np.int64]
    counts: NDArray[np.float64]
    squares: dict[str, NDArray[np.float64]]
    totals: dict[str, dict[str, float]]


def users_with(
    held_out: Interactions, stars: float, max_users: int | None, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Users with a held-out rating >= stars, int64 ascending; a random sample of max_users if more."""
    relevant = held_out.with_ratings(held_out.user_items.data >= stars)
    users = np.flatnonzero(np.diff(relevant.user_items.indptr))
    if max_users is not None and len(users) > max_users:
        users = np.sort(rng.choice(users, max_users, replace=False))
    return users


def errors_of(
    split: Split, predictors: Mapping[str, Predictor], max_users: int | None, rng: np.random.Generator
) -> Errors | None:
    """The errors of each predictor on the held-out ratings of the same users; None without any of both.

    The mean of the training set stands in where a predictor returns nan.
    """
    users = users_with(split.held_out, 0.0, max_users, rng)
    histories = [split.histories.history(int(user)) for user in users]
    held = [split.held_out.history(int(user)) for user in users]
    if not held or not predictors:
        return None
    stars = np.concatenate([one.stars for one in held])
    owner = np.repeat(np.arange(len(held)), [len(one) for one in held])
    mean = float(split.train.user_items.data.mean()) if split.train.nnz else float("nan")
    squares, totals = {}, {}
    for name, predict in predictors.items():
        parts = [predict(history, one.item_idx) for history, one in zip(histories, held, strict=True)]
        error, totals[name] = _figures(parts, stars, mean)
        squares[name] = np.bincount(owner, weights=error**2).astype(np.float64)
    counts = np.bincount(owner).astype(np.float64)
    return Errors(split.histories.user_ids[users], counts, squares, totals)


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


def _chance(probability: NDArray[np.floating]) -> float:
    """The expected calibration error of perfectly calibrated probabilities on as many ratings."""
    rng = np.random.default_rng(0)
    drawn = [rng.random(len(probability)) < probability for _ in range(CHANCE_DRAWS)]
    return float(np.mean([metrics.calibration_error(happened, probability) for happened in drawn]))


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else float("nan")
