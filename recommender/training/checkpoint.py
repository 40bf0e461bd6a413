"""What has been fitted so far, on disk, so that a training that was killed goes on from there."""

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
    """`iterations` that are done, and the factors after them: float32 (n_users, d) and (n_items, d)."""

    iterations: int
    user_factors: Floats
    item_factors: Floats


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Files in `folder`, one for each fit; whoever names the folder removes it when all is done.

    A fit is known by all that it is made from, so that one of other ratings or settings never goes on from
    it. Without a folder nothing is kept.
    """

    folder: Path | None = None

    def name(self, start: Floats, targets: sparse.csr_matrix, **settings: float) -> str:
        """Of the fit that begins with `start` and these targets and settings."""
        if self.folder is None:
            return ""
        parts: list[npt.NDArray[Any]] = [start, targets.indptr, targets.indices, targets.data]
        digest = hashlib.blake2b(repr(sorted(settings.items())).encode(), digest_size=16)
        for part in parts:
            digest.update(repr((part.shape, part.dtype)).encode())
            digest.update(np.ascontiguousarray(part).data)
        return digest.hexdigest()

    def reached(self, name: str) -> Reached | None:
        """Where the fit stopped; None where nothing whole is kept of it."""
        if self.folder is None:
            return None
        try:
            with np.load(self.folder / f"{name}.npz", allow_pickle=False) as kept:
                return Reached(int(kept["iterations"]), kept["user_factors"], kept["item_factors"])
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            return None

    def keep(self, name: str, reached: Reached) -> None:
        """In the place of what was kept before, whole or not at all."""
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
