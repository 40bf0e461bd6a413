"""The scorers by the name of their kind: fit one, and load a model of any kind."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import get_args

from recommender.interactions import Interactions
from recommender.model import artifact
from recommender.model.hybrid import HYBRID, Hybrid
from recommender.scorers.arm import PARTS, Arm
from recommender.scorers.autoencoder import Autoencoder, require_torch
from recommender.scorers.content import Content
from recommender.scorers.item_knn import ItemKnn
from recommender.scorers.names import Kind
from recommender.scorers.nmf import Nmf
from recommender.scorers.part import Floats, Part
from recommender.scorers.popularity import Popularity
from recommender.scorers.svd import Svd
from recommender.scorers.user_knn import UserKnn

# Fits a part to ratings and content vectors, float32 (n_items, width).
Fit = Callable[[Interactions, Floats], Part]

FITS: Mapping[str, Fit] = {
    UserKnn.kind: lambda train, _content: UserKnn.fit(train),
    Svd.kind: lambda train, _content: Svd.fit(train),
    Nmf.kind: lambda train, _content: Nmf.fit(train),
    ItemKnn.kind: lambda train, _content: ItemKnn.fit(train),
    Content.kind: lambda _train, content: Content(content),
    Popularity.kind: lambda train, _content: Popularity(train.n_items),
    Autoencoder.kind: lambda train, _content: Autoencoder.fit(train),
}
KINDS: tuple[str, ...] = get_args(Kind)


class UnknownKind(ValueError):
    """There is no model of this kind. The message lists the kinds."""


def check(kind: str) -> str:
    """Return the kind. Raises UnknownKind, and TorchMissing for an autoencoder without PyTorch."""
    if kind not in KINDS:
        raise UnknownKind(f"there is no model {kind!r}; the models are {', '.join(KINDS)}")
    if kind == Autoencoder.kind:
        require_torch()
    return kind


def load(folder: Path) -> Hybrid:
    """Map a saved model of any kind into memory; see `Hybrid.load`. Raises artifact.ArtifactError."""
    kind = artifact.kind_of(folder)
    if kind == HYBRID:
        return Hybrid.load(folder)
    if kind not in PARTS:
        raise artifact.ArtifactError(
            f"{folder}: a model of the kind {kind!r}, which this release cannot read"
        )
    return Arm.load(folder)
