"""The kinds of models: check a kind, and load a model of any kind."""

from importlib.util import find_spec
from pathlib import Path
from typing import get_args

from recommender.extras import install_command
from recommender.model import artifact
from recommender.model.hybrid import HYBRID, Hybrid
from recommender.scorers.arm import PARTS, Arm
from recommender.scorers.autoencoder import Autoencoder
from recommender.scorers.names import Kind

KINDS: tuple[str, ...] = get_args(Kind)


class TorchMissing(Exception):
    """PyTorch is not installed. The message is for the user."""


class UnknownKind(ValueError):
    """There is no model of this kind. The message lists the kinds."""


def require_torch() -> None:
    """Raise TorchMissing before a long training would fail."""
    if find_spec("torch") is None:
        raise TorchMissing(f"the model `autoencoder` needs the extra `neural`: {install_command('neural')}")


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
