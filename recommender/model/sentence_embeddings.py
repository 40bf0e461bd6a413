"""What a sentence-embedding model from disk says of an item's text; an optional part of its content."""

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from model2vec import StaticModel

Floats = NDArray[np.float32]
FILES = ("model.safetensors", "tokenizer.json")

log = logging.getLogger("marquee.sentences")


class SentenceModelError(Exception):
    """The folder is no sentence-embedding model that can be read; the message says why."""


@dataclass(frozen=True)
class SentenceModel:
    """A static sentence-embedding model (Model2Vec) in `folder`, known by what is in its files.

    width: of its vectors.
    """

    folder: Path
    digest: str
    width: int

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Raises SentenceModelError where there is none, or the extra `embeddings` is not installed."""
        model = _load(folder)
        return cls(folder.resolve(), _digest(folder), int(model.dim))

    def vectors(self, texts: Sequence[str]) -> Floats:
        """float32 (n, width), rows of length 1; 0 for an empty text, and for all where the model is gone.

        A text's vector does not depend on the other texts of the call.
        """
        found = np.zeros((len(texts), self.width), np.float32)
        told = [row for row, text in enumerate(texts) if text.strip()]
        if told and self._model is not None:
            encoded = self._model.encode([texts[row] for row in told], use_multiprocessing=False)
            length = np.linalg.norm(encoded, axis=1, keepdims=True)
            found[told] = encoded / np.where(length > 0, length, 1)
        return found

    @property
    def described(self) -> dict[str, Any]:
        """What the manifest of a trained model says of it."""
        return {"name": self.folder.name, "digest": self.digest, "width": self.width}

    def array(self) -> NDArray[np.uint8]:
        """Where it is and what it was, for the artifact, which does not hold the model itself."""
        told = {"folder": str(self.folder), "digest": self.digest, "width": self.width}
        return np.frombuffer(json.dumps(told).encode(), np.uint8)

    @classmethod
    def from_array(cls, array: NDArray[Any]) -> Self:
        """The inverse of `array`; the model itself is read when it is first needed."""
        told = json.loads(array.tobytes())
        return cls(Path(told["folder"]), told["digest"], told["width"])

    @cached_property
    def _model(self) -> "StaticModel | None":
        try:
            if _digest(self.folder) == self.digest:
                return _load(self.folder)
            reason = "holds another model now"
        except SentenceModelError as error:
            reason = str(error)
        log.warning("%s: %s; items are described without it until the next training", self.folder, reason)
        return None


def _load(folder: Path) -> "StaticModel":
    try:
        from model2vec import StaticModel  # noqa: PLC0415 - optional
    except ModuleNotFoundError:
        raise SentenceModelError("it needs the extra `embeddings`: pip install marquee[embeddings]") from None
    if missing := [name for name in FILES if not (folder / name).is_file()]:
        raise SentenceModelError(f"{folder} is no Model2Vec model: it has no {missing[0]}")
    try:
        return StaticModel.from_pretrained(folder)
    except Exception as error:  # of several libraries, which document none
        raise SentenceModelError(f"{folder}: {error}") from error


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in FILES:
        try:
            with (folder / name).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise SentenceModelError(str(error)) from None
    return digest.hexdigest()[:16]
