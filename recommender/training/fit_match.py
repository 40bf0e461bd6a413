"""Fit match percents and rating intervals to held-out ratings."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from recommender import metrics
from recommender.interactions import MAX_STARS, MIN_STARS, Interactions
from recommender.model.match import (
    BENT,
    LIKED_STARS,
    N_FEATURES,
    OBSCURE,
    POWERS,
    MatchModel,
    standardized,
    statistics_of,
)
from recommender.model.star_ratings import NORMAL_80, Doubles, StarsModel, with_one
from recommender.splits import Split, random_ratings
from recommender.training.fit_stars import by_content, fit_stars

COVERED = 0.8
MAX_USERS = 5000  # enough to fit a dozen coefficients
PROBIT_AS_LOGIT = 1.702  # scale of the logistic curve nearest to the normal distribution function
FIGURES = ("rmse", "interval_coverage", "match_calibration_error", "match_auc")
WEIGHING_USERS = 1500  # enough to fit the weight of neighbors
CLEARLY = 2.0  # standard errors
MAX_WEIGHT = 1.5
MIN_OF_A_KIND = 20  # likes, and ratings that are no likes, to fit the logistic regression


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Predictions of held-out ratings, one row per rating, grouped by user."""

    features: Doubles  # (n, N_FEATURES)
    liked: NDArray[np.bool_]
    error: Doubles  # stars
    deviation: Doubles  # stars
    owner: NDArray[np.int64]  # user index

    def take(self, rows: NDArray[np.bool_]) -> "HeldOut":
        """The marked rows."""
        return HeldOut(
            self.features[rows], self.liked[rows], self.error[rows], self.deviation[rows], self.owner[rows]
        )

    def width(self) -> float:
        """The predicted standard deviations to each side that contain 80 % of the ratings: split conformal.

        Lei et al., "Distribution-Free Predictive Inference for Regression", JASA 2018, section 5.2.
        """
        if not len(self.error):
            return NORMAL_80
        return float(np.quantile(np.abs(self.error) / self.deviation, COVERED, method="higher"))


def fit_stars_and_match(
    interactions: Interactions,
    content: NDArray[np.float32],
    *,
    rng: np.random.Generator,
    progress: Callable[[float], None] = lambda _fraction: None,
    **settings: int,
) -> tuple[StarsModel, MatchModel, dict[str, float]]:
    """Fit the stars model and the match model to all ratings, calibrated on a tenth held out of a first fit.

    The figures, named `FIGURES`, are measured on each half of the users with the calibration of the other
    half; nan without enough ratings. The target of interval_coverage is 0.8. settings: `factors` and
    `iterations` of `fit_stars`. Raises ValueError without ratings.
    """
    split = random_ratings(interactions, rng=rng)
    blind = fit_stars(split.train, content, rng=rng, progress=lambda done: progress(0.4 * done), **settings)
    blind = replace(blind, neighbor_weight=_neighbor_weight(blind, split, rng))
    before = uncalibrated(split.train, content)
    held = _hold_out(blind, before, split, rng)
    figures = _figures(held, before)
    progress(0.5)
    full = fit_stars(
        interactions, content, rng=rng, progress=lambda done: progress(0.5 + done / 2), **settings
    )
    match = fit_match(uncalibrated(interactions, content), held.features, held.liked)
    return replace(full, width=held.width(), neighbor_weight=blind.neighbor_weight), match, figures


def uncalibrated(interactions: Interactions, content: NDArray[np.float32]) -> MatchModel:
    """Statistics of all ratings, with the weights of the logistic nearest to a normal distribution.

    The statistics of an item with few ratings are near those that its content predicts.
    """
    ratings = interactions.user_items
    liked = ratings.data >= LIKED_STARS
    means = (float(ratings.data.mean(dtype=np.float64)), float(liked.mean()))
    count, total, n_liked = (
        np.bincount(ratings.indices, weights=weights, minlength=interactions.n_items)
        for weights in (None, ratings.data, liked)
    )
    each = np.maximum(count, 1)
    raw = np.stack([np.log1p(count), total / each, n_liked / each], axis=1)
    statistics_map = by_content(content, count)(raw)
    expected = with_one(content) @ statistics_map
    statistics = statistics_of(count, total, n_liked, (expected[:, 1], expected[:, 2]))
    statistics[:, 0] += (expected[:, 0] - statistics[:, 0]) * OBSCURE / (count + OBSCURE)
    weights = np.zeros(N_FEATURES + len(POWERS))
    weights[0] = PROBIT_AS_LOGIT
    return MatchModel(
        weights=weights,
        centre=np.zeros(N_FEATURES),
        scale=np.ones(N_FEATURES),
        intercept=0.0,
        mean=means[0],
        liked_share=means[1],
        item_statistics=statistics.astype(np.float32),
        statistics_map=statistics_map.astype(np.float32),
    )


def fit_match(base: MatchModel, features: Doubles, liked: NDArray[np.bool_]) -> MatchModel:
    """Fit the weights of `base` to held-out ratings; returns `base` if they are too few.

    The powers of the distance are dropped if more predicted stars could mean a lower probability.
    """
    if min(liked.sum(), (~liked).sum()) < MIN_OF_A_KIND:
        return base
    centre, spread = features.mean(axis=0), features.std(axis=0)
    scale = np.where(spread > 0, spread, 1)
    standard = standardized(features, centre, scale)
    weights = np.zeros(standard.shape[1])
    for n_terms in (len(weights), N_FEATURES):
        logistic = LogisticRegression(max_iter=1000).fit(standard[:, :n_terms], liked)
        weights[:] = np.append(logistic.coef_[0], np.zeros(len(weights) - n_terms))
        if _rises(weights):
            break
    return replace(base, weights=weights, centre=centre, scale=scale, intercept=float(logistic.intercept_[0]))


def _rises(weights: Doubles) -> bool:
    """Whether the probability rises with the distance everywhere."""
    slope = [weights[0], *(power * weights[N_FEATURES + n] for n, power in enumerate(POWERS))]
    return bool((np.polynomial.Polynomial(slope)(np.linspace(-BENT, BENT, 61)) > 0).all())


def _neighbor_weight(model: StarsModel, split: Split, rng: np.random.Generator) -> float:
    """The weight of neighbors that predicts held-out ratings best; 0 unless it is clearly above 0."""
    users = np.flatnonzero(np.diff(split.held_out.user_items.indptr))
    errors: list[Doubles] = [np.zeros(1)]
    effects: list[Doubles] = [np.zeros(1)]
    for user in rng.permutation(users)[:WEIGHING_USERS]:
        held = split.held_out.history(int(user))
        posterior = model.fold_in(split.histories.history(int(user)))
        stars, _ = model.predict(posterior, held.item_idx)
        known = np.isfinite(stars)
        errors.append((held.stars.astype(np.float64) - np.clip(stars, MIN_STARS, MAX_STARS))[known])
        effects.append(model.from_neighbors(posterior, held.item_idx)[known])
    error, effect = np.concatenate(errors), np.concatenate(effects)
    power = float(effect @ effect)
    if error @ effect < CLEARLY * np.sqrt(power * (error**2).mean()) or power == 0:
        return 0.0
    return min(MAX_WEIGHT, float(error @ effect) / power)


def _hold_out(model: StarsModel, base: MatchModel, split: Split, rng: np.random.Generator) -> HeldOut:
    users = np.flatnonzero(np.diff(split.held_out.user_items.indptr))
    if len(users) > MAX_USERS:
        users = np.sort(rng.choice(users, MAX_USERS, replace=False))
    parts = [_predict(model, base, split, int(user)) for user in users]
    if not parts:
        none = np.empty(0)
        return HeldOut(np.empty((0, N_FEATURES)), none.astype(bool), none, none, none.astype(np.int64))
    return HeldOut(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _predict(
    model: StarsModel, base: MatchModel, split: Split, user: int
) -> tuple[Doubles, NDArray[np.bool_], Doubles, Doubles, NDArray[np.int64]]:
    history, held = split.histories.history(user), split.held_out.history(user)
    stars, deviation = model.predict(model.fold_in(history), held.item_idx)
    known = np.isfinite(stars)
    features = base.features(history, held.item_idx, stars, deviation)
    error = np.clip(stars, MIN_STARS, MAX_STARS) - held.stars
    owner = np.full(int(known.sum()), user)
    return features[known], (held.stars >= LIKED_STARS)[known], error[known], deviation[known], owner


def _figures(held: HeldOut, base: MatchModel) -> dict[str, float]:
    """Measure each half of the users with the calibration of the other half."""
    half = held.owner % 2 == 0
    if min(held.liked[half].sum(), (~held.liked[half]).sum()) < 1 or held.liked[~half].sum() < 1:
        return dict.fromkeys(FIGURES, float("nan"))
    probability = np.empty(len(half))
    inside = np.empty(len(half), bool)
    for measured in (half, ~half):
        fitted = held.take(~measured)
        match = fit_match(base, fitted.features, fitted.liked)
        probability[measured] = match.probability(held.features[measured])
        inside[measured] = (np.abs(held.error) <= fitted.width() * held.deviation)[measured]
    values = (
        float(np.sqrt((held.error**2).mean())),
        float(inside.mean()),
        metrics.calibration_error(held.liked, probability),
        metrics.auc(held.liked, probability),
    )
    return dict(zip(FIGURES, values, strict=True))
