"""Means and intervals over users, from figures of each user that were measured on one or more splits.

A user who is in several splits counts once, with the mean of their figures, so that the users of an interval
are independent.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender import metrics
from recommender.evaluation.predictions import Errors
from recommender.metrics import RELEVANT_STARS, Estimate

N_DRAWS = 1000  # bootstrap resamples of users

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of one model.

    figures: means over users with 95 % intervals, by name, such as "ndcg@10".
    against: this model minus another, paired by user, by the other model's name and then by figure; empty
    for popularity and random.
    totals: figures of all lists together that are not means over users, such as "coverage@10"; of several
    splits their mean.
    """

    figures: dict[str, Estimate]
    against: dict[str, dict[str, Estimate]]
    totals: dict[str, float]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The figures of all models; `dataclasses.asdict` makes it JSON.

    n_users: different users with lists. n_train: training ratings, of several splits their mean. n_held_out:
    of all splits together.
    """

    n_users: int
    n_items: int
    n_train: int
    n_held_out: int
    relevant_stars: float
    ranking: dict[str, Report]
    ratings: dict[str, Report]


@dataclass(frozen=True, slots=True)
class Measured:
    """The measurements of one split.

    user_ids: int64 (n_users,), with lists. per_user: float64 (n_users,), by model and figure. totals: by
    model and figure. errors: of predicted stars; None without predictors or held-out ratings.
    """

    n_items: int
    n_train: int
    n_held_out: int
    user_ids: Ids
    per_user: Mapping[str, Mapping[str, Floats]]
    totals: Mapping[str, Mapping[str, float]]
    errors: Errors | None


@dataclass(frozen=True, slots=True)
class PerUser:
    """The figures of one model for each user, to be paired with those of another run.

    ids: int64 (n,) ascending. figures: float64 (n,), by name. rated_ids: int64 (m,) ascending; counts and
    squares: float64 (m,), held-out ratings and the sum of squared errors of their predicted stars.
    """

    ids: Ids
    figures: Mapping[str, Floats]
    rated_ids: Ids
    counts: Floats
    squares: Floats


def pooled(parts: Sequence[Measured], compared: Sequence[str], seed: int) -> Evaluation:
    """The evaluation of all splits together. `compared`: models whose differences from all are reported."""
    ids, per_user = _pool(parts)
    return Evaluation(
        n_users=len(ids),
        n_items=parts[0].n_items,
        n_train=round(float(np.mean([part.n_train for part in parts]))),
        n_held_out=sum(part.n_held_out for part in parts),
        relevant_stars=RELEVANT_STARS,
        ranking=_list_reports(
            per_user, _mean_totals([part.totals for part in parts]), compared, np.random.default_rng(seed)
        ),
        ratings=_star_reports(
            [part.errors for part in parts if part.errors is not None], np.random.default_rng(seed)
        ),
    )


def users_of(parts: Sequence[Measured], model: str) -> PerUser:
    """The figures of one model for each user of all splits."""
    ids, per_user = _pool(parts)
    rated_ids, counts, squares = _pool_errors([part.errors for part in parts if part.errors is not None])
    own = squares.get(model, np.empty(0))
    return PerUser(ids, per_user.get(model, {}), rated_ids, counts, own)


def rmse_draws(
    squares: NDArray[np.float64], counts: NDArray[np.float64], rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """RMSE over ratings, float64 (m,), and of N_DRAWS bootstrap resamples, float64 (N_DRAWS, m).

    Users are resampled, not ratings, because the errors of one user are not independent.
    squares: float64 (n_users, m), sums of squared errors over a user's `counts` ratings.
    """
    draws = np.empty((N_DRAWS, squares.shape[1]))
    for draw in draws:
        times = np.bincount(rng.integers(len(counts), size=len(counts)), minlength=len(counts))
        draw[:] = np.sqrt(times @ squares / (times @ counts))
    return np.sqrt(squares.sum(axis=0) / counts.sum()), draws


def interval(value: float, drawn: Floats) -> Estimate:
    """A value with the 95 % percentile interval of its resamples."""
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(float(value), float(low), float(high))


def _pool(parts: Sequence[Measured]) -> tuple[Ids, dict[str, dict[str, Floats]]]:
    """The different users, int64 ascending, and the mean of each figure over the splits of a user."""
    ids, owner = _owners([part.user_ids for part in parts])
    per_user = {
        model: {
            figure: _means(np.concatenate([part.per_user[model][figure] for part in parts]), owner, len(ids))
            for figure in figures
        }
        for model, figures in parts[0].per_user.items()
    }
    return ids, per_user


def _pool_errors(parts: Sequence[Errors]) -> tuple[Ids, Floats, dict[str, Floats]]:
    """The different users, their held-out ratings, and their squared errors by model."""
    ids, owner = _owners([part.user_ids for part in parts])
    counts = _sums(np.concatenate([np.empty(0), *(part.counts for part in parts)]), owner, len(ids))
    squares = {
        model: _sums(np.concatenate([part.squares[model] for part in parts]), owner, len(ids))
        for model in (parts[0].squares if parts else ())
    }
    return ids, counts, squares


def _owners(ids: Sequence[Ids]) -> tuple[Ids, NDArray[np.intp]]:
    found, owner = np.unique(np.concatenate([np.empty(0, np.int64), *ids]), return_inverse=True)
    return found, owner


def _sums(values: Floats, owner: NDArray[np.intp], n: int) -> Floats:
    return np.bincount(owner, values, n).astype(np.float64)


def _means(values: Floats, owner: NDArray[np.intp], n: int) -> Floats:
    """The mean of the values that are not nan, by owner; nan without one."""
    known = np.isfinite(values)
    counts = _sums(known.astype(np.float64), owner, n)
    means = np.full(n, np.nan)
    np.divide(_sums(np.nan_to_num(values), owner, n), counts, out=means, where=counts > 0)
    return means


def _mean_totals(parts: Iterable[Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, float]]:
    found = list(parts)
    return {
        model: {figure: float(np.mean([part[model][figure] for part in found])) for figure in figures}
        for model, figures in found[0].items()
    }


def _list_reports(
    per_user: Mapping[str, Mapping[str, Floats]],
    totals: Mapping[str, dict[str, float]],
    compared: Sequence[str],
    rng: np.random.Generator,
) -> dict[str, Report]:
    """Estimate all intervals from the same bootstrap draws of users, so that they can be compared."""
    columns = {(name, "", figure): v for name, values in per_user.items() for figure, v in values.items()}
    for name in compared:
        for other in (other for other in per_user if other != name):
            for figure, values in per_user[name].items():
                columns[name, other, figure] = values - per_user[other][figure]
    if not columns:
        return {}
    estimates = metrics.bootstrap_columns(np.stack(list(columns.values()), axis=1), rng)
    of = {name: Report({}, {}, totals[name]) for name in per_user}
    for (name, other, figure), estimate in zip(columns, estimates, strict=True):
        figures = of[name].against.setdefault(other, {}) if other else of[name].figures
        figures[figure] = estimate
    return of


def _star_reports(parts: Sequence[Errors], rng: np.random.Generator) -> dict[str, Report]:
    """RMSE over ratings with bootstrap intervals, and the other figures of each predictor."""
    if not parts:
        return {}
    _, counts, squares = _pool_errors(parts)
    totals = _mean_totals(part.totals for part in parts)
    values, draws = rmse_draws(np.stack(list(squares.values()), axis=1), counts, rng)
    return {
        name: Report(
            figures={"rmse": interval(values[i], draws[:, i])},
            against={
                other: {"rmse": interval(values[i] - values[j], draws[:, i] - draws[:, j])}
                for j, other in enumerate(squares)
                if j != i
            },
            totals=totals[name],
        )
        for i, name in enumerate(squares)
    }
