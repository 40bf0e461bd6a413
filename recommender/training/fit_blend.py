"""Fit the blend: its parts on all ratings, with the choices made on held-out users."""

import numpy as np
import numpy.typing as npt

from recommender.interactions import Interactions
from recommender.metrics import Estimate
from recommender.model.blend import Blend
from recommender.model.content_prior import ContentPrior
from recommender.model.item_step import ItemStep
from recommender.model.transitions import ItemTransitions
from recommender.progress import Progress
from recommender.training import choices
from recommender.training.blocks import IN_PROCESS, Workers
from recommender.training.checkpoint import NOTHING_KEPT, Checkpoint
from recommender.training.choices import Choices
from recommender.training.config import Config
from recommender.training.fit_parts import fit_factors, fit_items

Floats = npt.NDArray[np.float32]


def fit(
    interactions: Interactions,
    content: Floats,
    popularity: Floats,
    config: Config,
    rng: np.random.Generator,
    progress: Progress,
    checkpoint: Checkpoint = NOTHING_KEPT,
    workers: Workers = IN_PROCESS,
) -> tuple[Blend, ContentPrior, ItemStep | None, dict[str, Estimate]]:
    """Fit the blend to all ratings, and report NDCG@20 of each part and of the blend on held-out users.

    The figures are slightly below those of the returned blend, which is fitted to more users and longer.
    """
    chosen = choices.choose(interactions, content, config, rng, progress, checkpoint, workers)
    fitted = fit_chosen(interactions, content, popularity, config, chosen, rng, progress, checkpoint, workers)
    return *fitted, chosen.figures


def fit_chosen(
    interactions: Interactions,
    content: Floats,
    popularity: Floats,
    config: Config,
    chosen: Choices,
    rng: np.random.Generator,
    progress: Progress,
    checkpoint: Checkpoint = NOTHING_KEPT,
    workers: Workers = IN_PROCESS,
) -> tuple[Blend, ContentPrior, ItemStep | None]:
    """Fit the parts of the blend to all ratings, with choices that have been made."""
    grades = chosen.grades
    factor_model, content_prior, item_step = fit_factors(
        interactions,
        content,
        config,
        rng,
        lambda done: progress("factors", done),
        checkpoint,
        workers,
        grades=grades,
        noise=chosen.noise,
    )
    progress("item weights", 0.0)
    items = fit_items(interactions, content, config, rng, grades=grades)
    transitions = ItemTransitions.fit(interactions, rng=rng, grades=grades)
    return Blend(factor_model, items, transitions, popularity, chosen.weights), content_prior, item_step
