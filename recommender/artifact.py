"""A trained model on disk: a folder of .npy arrays and a manifest, there whole or not at all."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import numpy as np
import numpy.typing as npt

FORMAT = 5
MANIFEST = "manifest.json"

Arrays = dict[str, npt.NDArray[Any]]


class ArtifactError(Exception):
    """The folder is no model that this code can read; the message says which file and why."""


def write(folder: Path, arrays: Mapping[str, npt.NDArray[Any]], manifest: Mapping[str, Any]) -> None:
    """Write `arrays` and `manifest` as `folder`, which must not exist (FileExistsError).

    All is written and flushed under a hidden name beside it and renamed last, so that a crash leaves nothing
    that `read` would take for a model. The manifest gains `format` and, for each array, its shape and dtype.
    """
    if folder.exists():
        raise FileExistsError(f"{folder} exists; a version is never overwritten")
    unfinished = folder.parent / f".{folder.name}.{uuid4().hex}"
    unfinished.mkdir(parents=True)
    try:
        described = {}
        for name, array in arrays.items():
            with (unfinished / f"{name}.npy").open("wb") as file:
                np.save(file, np.ascontiguousarray(array), allow_pickle=False)
                _flush(file.fileno(), file)
            described[name] = {"shape": list(array.shape), "dtype": array.dtype.str}
        with (unfinished / MANIFEST).open("w", encoding="utf-8") as file:
            json.dump({**manifest, "format": FORMAT, "arrays": described}, file, indent=1, sort_keys=True)
            _flush(file.fileno(), file)
        _flush_folder(unfinished)
        unfinished.rename(folder)
        _flush_folder(folder.parent)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def read(folder: Path) -> tuple[Arrays, dict[str, Any]]:
    """Memory-mapped, read-only arrays by name, and the manifest; ArtifactError when anything is amiss."""
    manifest = _manifest(folder / MANIFEST)
    arrays = {}
    for name, described in manifest["arrays"].items():
        path = folder / f"{name}.npy"
        mapped: Literal["r"] | None = "r" if 0 not in described["shape"] else None  # nothing cannot be mapped
        try:
            array = np.load(path, mmap_mode=mapped, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise ArtifactError(f"{path}: {error}") from error
        if list(array.shape) != described["shape"] or array.dtype.str != described["dtype"]:
            found = f"{list(array.shape)} {array.dtype.str}"
            raise ArtifactError(f"{path}: the manifest says {described}, the file holds {found}")
        arrays[name] = np.asarray(array)  # a plain view of the file: memmap's own takes time at each index
    return arrays, manifest


def _manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path}: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ArtifactError(f"{path}: not a model of format {FORMAT}, which this release reads: train anew")
    described = manifest.get("arrays")
    if not isinstance(described, dict) or not all(
        isinstance(entry, dict) and {"shape", "dtype"} <= entry.keys() for entry in described.values()
    ):
        raise ArtifactError(f"{path}: it does not describe its arrays")
    return manifest


def _flush(descriptor: int, file: Any) -> None:
    file.flush()
    os.fsync(descriptor)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
