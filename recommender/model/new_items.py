"""Changes of a trained model: new items, by their content, and new ratings of its items."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recommender.interactions import positions
from recommender.item_features import ItemFeatures
from recommender.model.blend import Blend
from recommender.model.content import vectors_of
from recommender.model.explain import SHARED_KEYWORDS, maker_names, trait_names
from recommender.model.hybrid import Hybrid
from recommender.model.item_step import ItemStep
from recommender.model.match import MatchModel, Sums
from recommender.model.popularity import RatingCounts
from recommender.model.star_ratings import StarsModel
from recommender.model.transitions import ItemTransitions
from recommender.row_mapping import RowMapping


def with_items(model: Hybrid, items: ItemFeatures) -> Hybrid:
    """Return the model with these items, whose ids ascend, as if they had been there when it was trained.

    An item without a rating has the factors of the content prior and the stars of its content, as in
    training, and the popularity of the least popular item. An item with ratings keeps what was fitted to
    them; its content vector and its names are replaced. The former model is unchanged, and what is not
    about single items is shared. Costs a copy of the arrays of items.
    """
    content = model.encoder.transform(items)
    rows = RowMapping.of(model.item_ids, np.empty(0, np.int64), items.item_ids)
    place = np.searchsorted(rows.ids, model.item_ids)  # of the former items
    fitted = _fitted_rows(model, items)
    placed = model.content_prior.factors(content)
    factors = placed.copy()
    factors[fitted >= 0] = model.factor_model.item_factors[fitted[fitted >= 0]]
    names = trait_names(items, frozenset(model.traits[SHARED_KEYWORDS].names))
    return replace(
        model,
        item_ids=rows.ids,
        content_vectors=rows.spread(model.content_vectors, vectors_of(content)),
        blend=_blend(model, rows, place, fitted, factors),
        traits={kind: traits.with_rows(rows, names[kind]) for kind, traits in model.traits.items()},
        makers=model.makers.with_rows(rows, maker_names(items)),
        stars=model.stars and _stars(model.stars, rows, place, fitted, content),
        match=model.match and _match(model.match, rows, fitted, content),
        item_step=model.item_step and _item_step(model.item_step, rows, fitted, placed),
        ratings=model.ratings and _ratings(model.ratings, rows, fitted),
    )


def with_factors(model: Hybrid, rows: Mapping[int, NDArray[np.float32]]) -> Hybrid:
    """Return the model with new factors, float32 (factors,), of some items; `similar` is unchanged."""
    factor_model = model.factor_model
    item_factors = np.array(factor_model.item_factors)
    item_factors[list(rows)] = list(rows.values())
    blend = replace(model.blend, factor_model=replace(factor_model, item_factors=item_factors))
    _ = blend.factor_model.by_factor  # built now, not in the first request
    return model.updated(blend=blend)


def with_ratings(model: Hybrid, histograms: Mapping[int, NDArray[np.int32]]) -> Hybrid:
    """Return the model with the popularity, stars and match statistics of items that have other ratings now.

    histograms: int32 (HALF_STARS,), of all ratings of an item, by its index. The model must have `ratings`.
    Scales, weights and what is not about single items stay as they were fitted.
    """
    assert model.ratings is not None
    item_idx = np.fromiter(histograms, np.int64, len(histograms))
    rows = np.array(list(histograms.values()), np.int32).reshape(len(item_idx), -1)
    known = model.ratings.histogram[item_idx]
    before, after = Sums.of(known), Sums.of(rows)
    popularity, histogram = model.popularity.copy(), model.ratings.histogram.copy()
    popularity[item_idx] = model.ratings.moved(popularity[item_idx], rows - known)
    histogram[item_idx] = rows
    return model.updated(
        blend=replace(model.blend, popularity=popularity),
        stars=model.stars
        and model.stars.with_ratings(item_idx, after.count - before.count, after.stars - before.stars),
        match=model.match and model.match.with_ratings(item_idx, before, after),
        ratings=replace(model.ratings, histogram=histogram),
    )


def _ratings(ratings: RatingCounts, rows: RowMapping, fitted: NDArray[np.int64]) -> RatingCounts:
    histogram = np.where((fitted >= 0)[:, None], ratings.histogram[fitted], 0)
    return replace(ratings, histogram=rows.spread(ratings.histogram, histogram))


def _fitted_rows(model: Hybrid, items: ItemFeatures) -> NDArray[np.int64]:
    """Rows of the items in the model's arrays, int64 (n,); -1 for items without ratings in training."""
    if model.match is None:
        return np.full(len(items), -1, np.int64)
    found = positions(model.item_ids, items.item_ids).astype(np.int64)
    log_counts = model.match.item_statistics[:, 0]
    return np.where((found >= 0) & (log_counts[found] > 0), found, -1)


def _blend(
    model: Hybrid,
    rows: RowMapping,
    place: NDArray[np.int64],
    fitted: NDArray[np.int64],
    factors: NDArray[np.float32],
) -> Blend:
    blend = model.blend
    popularity = np.full(len(fitted), blend.popularity.min(initial=0), np.float32)
    popularity[fitted >= 0] = blend.popularity[fitted[fitted >= 0]]
    item_idx = place[blend.item_weights.item_idx].astype(np.int32)
    position = np.full(rows.ids.size, -1, np.int32)
    position[item_idx] = np.arange(item_idx.size)
    factor_model = blend.factor_model
    return replace(
        blend,
        factor_model=replace(factor_model, item_factors=rows.spread(factor_model.item_factors, factors)),
        item_weights=replace(blend.item_weights, item_idx=item_idx, position=position),
        transitions=_transitions(blend.transitions, place, rows.ids.size),
        popularity=rows.spread(blend.popularity, popularity),
    )


def _transitions(transitions: ItemTransitions, place: NDArray[np.int64], n_items: int) -> ItemTransitions:
    """Make room for the new items, which have no transitions."""
    before = transitions.following
    sizes = np.zeros(n_items, np.int64)
    sizes[place] = np.diff(before.indptr)
    indptr = np.concatenate(([0], np.cumsum(sizes)))
    parts = before.data, place[before.indices], indptr
    return replace(transitions, following=sparse.csr_matrix(parts, shape=(n_items, n_items)))


def _item_step(
    step: ItemStep, rows: RowMapping, fitted: NDArray[np.int64], placed: NDArray[np.float32]
) -> ItemStep:
    counts = np.where(fitted >= 0, step.counts[fitted], 0)
    return replace(step, counts=rows.spread(step.counts, counts), placed=rows.spread(step.placed, placed))


def _stars(
    stars: StarsModel,
    rows: RowMapping,
    place: NDArray[np.int64],
    fitted: NDArray[np.int64],
    content: NDArray[np.float32],
) -> StarsModel:
    items, variance = stars.prior(content)
    variance = variance.copy()
    rated = fitted >= 0
    neighbors = place[stars.neighbors].astype(np.int32)  # in the new order
    items[rated], variance[rated] = stars.items[fitted[rated]], stars.item_variance[fitted[rated]]
    return replace(
        stars,
        items=rows.spread(stars.items, items),
        item_variance=rows.spread(stars.item_variance, variance),
        habits=rows.spread(stars.habits, np.where(rated[:, None], stars.habits[fitted], 0)),
        known=rows.spread(stars.known, rated | content.any(axis=1)),
        neighbors=rows.spread(neighbors, np.where(rated[:, None], neighbors[fitted], 0)),
        similarity=rows.spread(stars.similarity, np.where(rated[:, None], stars.similarity[fitted], 0)),
    )


def _match(
    match: MatchModel, rows: RowMapping, fitted: NDArray[np.int64], content: NDArray[np.float32]
) -> MatchModel:
    statistics = match.expected_statistics(content)
    statistics[fitted >= 0] = match.item_statistics[fitted[fitted >= 0]]
    return replace(match, item_statistics=rows.spread(match.item_statistics, statistics))
