"""Fit the parts of the blend: factors with their content prior, item weights and transitions."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.interactions import Interactions
from recommender.model.content import components_of, vectors_of
from recommender.model.content_prior import ContentPrior
from recommender.model.edlae import ItemWeights
from recommender.model.fold_in import GRADES, NOISE, FactorModel, graded
from recommender.model.item_step import ItemStep
from recommender.training import ials
from recommender.training.blocks import IN_PROCESS, Workers
from recommender.training.checkpoint import NOTHING_KEPT, Checkpoint
from recommender.training.config import Config
from recommender.training.sessions import sessions

Floats = npt.NDArray[np.float32]


class Fitted(NamedTuple):
    """item_step is None without ratings."""

    model: FactorModel
    content_prior: ContentPrior
    item_step: ItemStep | None


def fit_factors(
    interactions: Interactions,
    content: Floats,
    config: Config,
    rng: np.random.Generator,
    progress: Callable[[float], None],
    checkpoint: Checkpoint = NOTHING_KEPT,
    workers: Workers = IN_PROCESS,
    *,
    grades: Floats = GRADES,
    noise: float = NOISE,
) -> Fitted:
    """Fit iALS to the items with ratings, then move each item toward its content prior."""
    counts = np.bincount(interactions.user_items.indices, minlength=interactions.n_items)
    rated = counts > 0
    if not rated.any():  # without ratings the content vectors are the factors
        return _of_content(content, config)
    everything = _targets(interactions, grades)
    targets = everything[:, rated].tocsr()
    scales = _scales(targets, config, rng)
    user_factors, fitted = ials.fit(
        targets,
        factors=min(config.factors, *targets.shape),
        iterations=config.iterations,
        rng=rng,
        progress=progress,
        checkpoint=checkpoint,
        workers=workers,
        **scales,
    )
    first_prior = ContentPrior.fit(content[rated], fitted, counts[rated]).factors(content)
    item_factors = ials.toward(first_prior, everything.T.tocsr(), user_factors, **scales)
    of_users: dict[str, Any] = {"user_factors": user_factors, "counts": np.diff(targets.indptr)}
    of_users["alpha0"] = config.alpha0
    model = FactorModel.of(item_factors, rated, **of_users, grades=grades, noise=noise)
    content_prior = ContentPrior.fit(content[rated], model.item_factors[rated], counts[rated])
    # Unrated items keep the factors of the prior before the last half-step, so that their first rating does
    # not move them by the difference of the two priors.
    placed = np.where(rated[:, None], content_prior.factors(content), model.item_factors)
    of_users["regularization"] = scales["regularization"]
    return Fitted(model, content_prior, ItemStep.of(item_factors, counts, placed, **of_users))


def _scales(targets: sparse.csr_matrix, config: Config, rng: np.random.Generator) -> dict[str, float]:
    """The regularization, estimated unless it is set, and the weight of unrated items."""
    regularization = config.regularization
    if regularization is None:
        regularization = ials.regularization_for(targets, alpha0=config.alpha0, rng=rng)
    return {"regularization": regularization, "alpha0": config.alpha0}


def fit_items(
    interactions: Interactions,
    content: Floats,
    config: Config,
    rng: np.random.Generator,
    *,
    grades: Floats = GRADES,
) -> ItemWeights:
    """Fit the item weights to ratings, sessions and content."""
    return ItemWeights.fit(
        _targets(interactions, grades),
        components_of(content),  # without the numbers: equal popularity is not similarity
        sessions(interactions, rng=rng, grades=grades),
        max_bytes=config.item_weight_bytes,
        ridge=config.item_ridge,
        dropout=config.item_dropout,
        content_weight=config.item_content,
        session_weight=config.item_sittings,
        grades=grades,
    )


def _of_content(content: Floats, config: Config) -> Fitted:
    everything = np.ones(len(content), bool)
    vectors = vectors_of(content)
    no_users = np.zeros((0, vectors.shape[1]), np.float32)
    model = FactorModel.of(
        vectors, everything, user_factors=no_users, counts=np.zeros(0, np.int64), alpha0=config.alpha0
    )
    return Fitted(model, ContentPrior.fit(content, model.item_factors, everything.astype(np.int64)), None)


def _targets(interactions: Interactions, grades: Floats) -> sparse.csr_matrix:
    targets = interactions.user_items.copy()
    targets.data = graded(targets.data, grades)
    return targets
