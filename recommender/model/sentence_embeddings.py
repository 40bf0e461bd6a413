"""Sentence embeddings of item texts by a model on disk, an optional part of the content."""

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

from recommender.extras import install_command

if TYPE_CHECKING:
    from model2vec import StaticModel

Floats = NDArray[np.float32]
FILES = ("model.safetensors", "tokenizer.json")

log = logging.getLogger("marquee.sentences")


class SentenceModelError(Exception):
    """The folder is not a readable sentence-embedding model; the message has the reason."""


@dataclass(frozen=True)
class SentenceModel:
    """A static sentence-embedding model (Model2Vec) in `folder`.

    digest: identifies the contents of its files. width: of its vectors.
    """

    folder: Path
    digest: str
    width: int

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open the model. Raises SentenceModelError for no model, and without the extra `embeddings`."""
        model = _load(folder)
        return cls(folder.resolve(), _digest(folder), int(model.dim))

    def vectors(self, texts: Sequence[str]) -> Floats:
        """Embed n texts: float32 (n, width), rows of length 1; 0 for an empty text.

        All rows are 0 if the model was removed or changed since training. A text's vector does not depend on
        the other texts of the call.
        """
        found = np.zeros((len(texts), self.width), np.float32)
        rows = [row for row, text in enumerate(texts) if text.strip()]
        if rows and self._model is not None:
            encoded = self._model.encode([texts[row] for row in rows], use_multiprocessing=False)
            length = np.linalg.norm(encoded, axis=1, keepdims=True)
            found[rows] = encoded / np.where(length > 0, length, 1)
        return found

    @property
    def described(self) -> dict[str, Any]:
        """The entry in the manifest of a trained model."""
        return {"name": self.folder.name, "digest": self.digest, "width": self.width}

    def array(self) -> NDArray[np.uint8]:
        """Folder, digest and width as JSON, uint8 (n,); the artifact does not hold the model itself."""
        state = {"folder": str(self.folder), "digest": self.digest, "width": self.width}
        return np.frombuffer(json.dumps(state).encode(), np.uint8)

    @classmethod
    def from_array(cls, array: NDArray[Any]) -> Self:
        """The inverse of `array`; the model itself is read on first use."""
        state = json.loads(array.tobytes())
        return cls(Path(state["folder"]), state["digest"], state["width"])

    @cached_property
    def _model(self) -> "StaticModel | None":
        try:
            if _digest(self.folder) == self.digest:
                return _load(self.folder)
            reason = "contains another model now"
        except SentenceModelError as error:
            reason = str(error)
        log.warning("%s: %s; new items have no text embedding until the next training", self.folder, reason)
        return None


def _load(folder: Path) -> "StaticModel":
    try:
        from model2vec import StaticModel  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        raise SentenceModelError(f"needs the extra `embeddings`: {install_command('embeddings')}") from None
    if missing := [name for name in FILES if not (folder / name).is_file()]:
        raise SentenceModelError(f"{folder} is not a Model2Vec model: {missing[0]} is missing")
    try:
        return StaticModel.from_pretrained(folder)
    except Exception as error:  # undocumented exceptions of several libraries
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
