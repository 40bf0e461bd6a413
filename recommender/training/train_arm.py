"""Train a model of any kind."""

from dataclasses import fields

import numpy as np

from recommender.interactions import Interactions
from recommender.item_features import ItemFeatures
from recommender.model.hybrid import HYBRID, Hybrid
from recommender.model.sentence_embeddings import SentenceModel
from recommender.progress import Progress
from recommender.scorers import kinds
from recommender.scorers.arm import Arm
from recommender.training.blocks import IN_PROCESS, Workers
from recommender.training.checkpoint import NOTHING_KEPT, Checkpoint
from recommender.training.config import Config
from recommender.training.fit_part import FITS
from recommender.training.train import DEFAULTS, train_hybrid


def train_model(
    kind: str,
    interactions: Interactions,
    items: ItemFeatures,
    config: Config = DEFAULTS,
    progress: Progress = lambda _stage, _fraction: None,
    checkpoint: Checkpoint = NOTHING_KEPT,
    sentences: SentenceModel | None = None,
    *,
    only_lists: bool = False,
    workers: Workers = IN_PROCESS,
) -> Hybrid:
    """Train a hybrid, or an `Arm` whose lists come from the scorer of this kind; see `train_hybrid`.

    Of an arm only the content, stars and match are fitted as in a hybrid. Raises UnknownKind, and
    TorchMissing for an autoencoder without PyTorch.
    """
    if kinds.check(kind) == HYBRID:
        return train_hybrid(
            interactions,
            items,
            config,
            progress,
            checkpoint,
            sentences,
            only_lists=only_lists,
            workers=workers,
        )
    parts = shared(interactions, items, config, progress, sentences, only_lists=only_lists)
    return with_part(kind, parts, interactions, progress)


def shared(
    interactions: Interactions,
    items: ItemFeatures,
    config: Config = DEFAULTS,
    progress: Progress = lambda _stage, _fraction: None,
    sentences: SentenceModel | None = None,
    *,
    only_lists: bool = False,
) -> Hybrid:
    """Train what all arms share: content, traits, popularity, stars and match. Its lists are of no use."""
    nothing = interactions.with_ratings(np.zeros(interactions.nnz, bool))
    return train_hybrid(
        interactions, items, config, progress, sentences=sentences, for_lists=nothing, only_lists=only_lists
    )


def with_part(
    kind: str,
    model: Hybrid,
    interactions: Interactions,
    progress: Progress = lambda _stage, _fraction: None,
) -> Arm:
    """Fit the scorer of this kind to the ratings, for an arm with the shared parts of `model`."""
    progress(kind, 0.0)
    part = FITS[kind](interactions, model.content_vectors)
    parts = {field.name: getattr(model, field.name) for field in fields(Hybrid)}
    return Arm(**{**parts, "manifest": {**model.manifest, "kind": kind}}, part=part)
