"""Train the hybrid model on all ratings."""

from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from recommender.interactions import Interactions
from recommender.item_features import ItemFeatures
from recommender.model import explain
from recommender.model.content import ContentEncoder, vectors_of
from recommender.model.hybrid import Hybrid
from recommender.model.match import MatchModel
from recommender.model.popularity import RatingCounts, popularity
from recommender.model.sentence_embeddings import SentenceModel
from recommender.model.star_ratings import StarsModel
from recommender.progress import Progress
from recommender.training import fit_blend, fit_match
from recommender.training.blocks import IN_PROCESS, Workers
from recommender.training.checkpoint import NOTHING_KEPT, Checkpoint
from recommender.training.config import Config

Floats = npt.NDArray[np.float32]

DEFAULTS = Config()


def train_hybrid(
    interactions: Interactions,
    items: ItemFeatures,
    config: Config = DEFAULTS,
    progress: Progress = lambda _stage, _fraction: None,
    checkpoint: Checkpoint = NOTHING_KEPT,
    sentences: SentenceModel | None = None,
    *,
    for_lists: Interactions | None = None,
    only_lists: bool = False,
    workers: Workers = IN_PROCESS,
) -> Hybrid:
    """Train on all ratings; `items` describes interactions.item_ids one by one (else ValueError).

    for_lists: the ratings to fit lists to, if they are others, of the same items. only_lists: leave stars and
    match out. sentences: a model whose vectors are part of the items' content. workers: the processes that
    fit the factors. Deterministic for the same input and config, with any number of threads and workers of
    one type of processor, and also when resumed from `checkpoint`.
    """
    if not np.array_equal(interactions.item_ids, items.item_ids):
        raise ValueError("items must describe the items of the interactions, one by one")
    rng = np.random.default_rng(config.seed)
    progress("content", 0.0)
    encoder, content = ContentEncoder.fit_transform(items, rng=rng, sentences=sentences)
    popular = popularity(interactions, items.vote_count)
    rated = interactions if for_lists is None else for_lists
    with threadpool_limits(limits=1, user_api="blas"):  # fixes the order of summation
        blend, content_prior, item_step, reached = fit_blend.fit(
            rated, content, popular, config, rng, progress, checkpoint, workers
        )
        stars, match, of_predictors = (
            (None, None, {}) if only_lists else _predictors(interactions, content, rng, progress)
        )
    figures = {name: asdict(estimate) for name, estimate in reached.items()} | of_predictors
    return Hybrid(
        manifest=_manifest(interactions, config, figures, sentences),
        item_ids=interactions.item_ids,
        content_vectors=vectors_of(content),
        encoder=encoder,
        blend=blend,
        content_prior=content_prior,
        traits=explain.traits_of(items),
        makers=explain.makers_of(items),
        stars=stars,
        match=match,
        item_step=item_step,
        ratings=RatingCounts.of(interactions, items.vote_count) if interactions.nnz else None,
    )


def _predictors(
    interactions: Interactions, content: Floats, rng: np.random.Generator, progress: Progress
) -> tuple[StarsModel | None, MatchModel | None, dict[str, Any]]:
    """The models of stars and match with their figures; none without ratings."""
    if not interactions.nnz:
        return None, None, {}
    return fit_match.fit_stars_and_match(
        interactions, content, rng=rng, progress=lambda fraction: progress("stars", fraction)
    )


def _manifest(
    interactions: Interactions, config: Config, figures: dict[str, Any], sentences: SentenceModel | None
) -> dict[str, Any]:
    counts = {name: getattr(interactions, name) for name in ("n_users", "n_items", "nnz")}
    described = sentences and sentences.described
    return {"config": asdict(config), "metrics": figures, "sentences": described, **counts}
