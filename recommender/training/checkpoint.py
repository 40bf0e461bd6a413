"""Checkpoints: resume an interrupted training."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from scipy import sparse

Floats = npt.NDArray[np.float32]


class Reached(NamedTuple):
    """The number of finished iterations, and their factors: float32 (n_users, d) and (n_items, d)."""

    iterations: int
    user_factors: Floats
    item_factors: Floats


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Checkpoint files in `folder`, one for each fit; the caller removes the folder after the training.

    The name of a file is a digest of the inputs of the fit, so that a fit with other ratings or settings does
    not resume from it. Without a folder nothing is saved.
    """

    folder: Path | None = None

    def name(self, start: Floats, targets: sparse.csr_matrix, **settings: float) -> str:
        """The name of the fit from `start` with these targets and settings."""
        if self.folder is None:
            return ""
        parts: list[npt.NDArray[Any]] = [start, targets.indptr, targets.indices, targets.data]
        digest = hashlib.blake2b(repr(sorted(settings.items())).encode(), digest_size=16)
        for part in parts:
            digest.update(repr((part.shape, part.dtype)).encode())
            digest.update(np.ascontiguousarray(part).data)
        return digest.hexdigest()

    def reached(self, name: str) -> Reached | None:
        """Load the state of a fit; None without a readable checkpoint."""
        if self.folder is None:
            return None
        try:
            with (
                (self.folder / f"{name}.npz").open("rb") as file,
                np.load(file, allow_pickle=False) as kept,
            ):
                return Reached(int(kept["iterations"]), kept["user_factors"], kept["item_factors"])
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            return None

    def keep(self, name: str, reached: Reached) -> None:
        """Save the state of a fit, replacing the former one atomically."""
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        unfinished = self.folder / f".{name}.{os.getpid()}"
        with unfinished.open("wb") as file:
            np.savez(file, **reached._asdict())
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self.folder / f"{name}.npz")


NOTHING_KEPT = Checkpoint()
