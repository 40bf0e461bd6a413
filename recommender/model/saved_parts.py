"""The arrays of a hybrid's parts in its artifact, by names that stay the same between releases."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from recommender.model import explain
from recommender.model.artifact import Arrays
from recommender.model.blend import Blend
from recommender.model.content import ContentEncoder
from recommender.model.content_prior import ContentPrior
from recommender.model.item_step import ItemStep
from recommender.model.match import MatchModel
from recommender.model.popularity import RatingCounts
from recommender.model.star_ratings import StarsModel
from recommender.traits import Traits

NAMES = (
    "item_ids", "content_vectors", "encoder", "blend", "content_prior",
    "traits", "makers", "stars", "match", "item_step", "ratings",
)  # fmt: skip
BLENDED = ("factors", "items", "succession", "blend")
TRAITS = (explain.SHARED_PEOPLE, explain.SHARED_KEYWORDS, explain.SHARED_GENRES)


def arrays_of(
    *,
    item_ids: npt.NDArray[np.int64],
    content_vectors: npt.NDArray[np.float32],
    encoder: ContentEncoder,
    blend: Blend,
    content_prior: ContentPrior,
    traits: Mapping[str, Traits],
    makers: Traits,
    stars: StarsModel | None,
    match: MatchModel | None,
    item_step: ItemStep | None,
    ratings: RatingCounts | None,
) -> dict[str, Arrays]:
    """The arrays of each part, by its name in the artifact."""
    parts: dict[str, Arrays] = {
        "encoder": dict(encoder.arrays()),
        "factors": blend.factor_model.arrays(),
        "items": blend.item_weights.arrays(),
        "succession": blend.transitions.arrays(),
        "blend": blend.arrays(),
        "placement": asdict(content_prior),
        "hybrid": {"item_ids": item_ids, "content": content_vectors},
        "makers": makers.arrays(),
        **{kind.lower(): of_kind.arrays() for kind, of_kind in traits.items()},
    }
    if stars is not None and match is not None:
        parts |= {"stars": dict(stars.arrays()), "match": dict(match.arrays())}
    if item_step is not None:
        parts["film_step"] = item_step.arrays()
    if ratings is not None:
        parts["ratings"] = ratings.arrays()
    return parts


def read(arrays: Arrays, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The parts with the names NAMES, the inverse of `arrays_of`. `arrays`: by "part.name".

    Keywords of models of former releases are selected here.
    """
    parts: dict[str, Arrays] = {}
    for path, array in arrays.items():
        part, _, name = path.partition(".")
        parts.setdefault(part, {})[name] = array
    traits = {kind: Traits.from_arrays(parts[kind.lower()]) for kind in TRAITS}
    if not manifest.get("keywords_selected"):
        keywords, people = traits[explain.SHARED_KEYWORDS], traits[explain.SHARED_PEOPLE]
        traits[explain.SHARED_KEYWORDS] = keywords.without_unnamed(people.names)
    return {
        "item_ids": parts["hybrid"]["item_ids"],
        "content_vectors": parts["hybrid"]["content"],
        "encoder": ContentEncoder.from_arrays(parts["encoder"]),
        "blend": Blend.from_arrays(*(parts[name] for name in BLENDED)),
        "content_prior": ContentPrior(**parts["placement"]),
        "traits": traits,
        "makers": Traits.from_arrays(parts["makers"]),
        "stars": StarsModel.from_arrays(parts["stars"]) if "stars" in parts else None,
        "match": MatchModel.from_arrays(parts["match"]) if "match" in parts else None,
        "item_step": ItemStep.from_arrays(parts["film_step"]) if "film_step" in parts else None,
        "ratings": RatingCounts.from_arrays(parts["ratings"]) if "ratings" in parts else None,
    }


def check_lengths(rows: Mapping[str, Any], n_items: int) -> None:
    """Raise ValueError for an array that does not have n_items rows. `rows`: arrays, dense or sparse."""
    for name, array in rows.items():
        if array.shape[0] != n_items:
            raise ValueError(f"{name} describes {array.shape[0]} items, not {n_items}")
