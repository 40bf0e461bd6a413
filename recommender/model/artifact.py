"""Save and load a trained model: a folder of .npy arrays and a manifest, written atomically.

The manifest holds the SHA-256 of each array's file, and of itself without that entry. They are verified
before a file is interpreted, so that damaged files and half-copied folders are refused instead of served.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt

FORMAT = 5
MANIFEST = "manifest.json"
CHECKSUM = "sha256"
MAX_MANIFEST_BYTES = 10_000_000
READ_ONLY = 0o444  # a version is never changed
ARRAY_NAME = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")

Arrays = dict[str, npt.NDArray[Any]]

_in_memory: "WeakValueDictionary[str, npt.NDArray[Any]]" = WeakValueDictionary()  # by checksum


class ArtifactError(Exception):
    """The folder is not a model that this code can read; the message names the file and the reason."""


def write(folder: Path, arrays: Mapping[str, npt.NDArray[Any]], manifest: Mapping[str, Any]) -> None:
    """Write `arrays` and `manifest` to `folder`. Raises FileExistsError if it exists.

    The files are written and flushed in a hidden folder beside it, which is renamed last, so that a crash
    leaves nothing that `read` would accept. `format`, a checksum and the shape, dtype and checksum of each
    array are added to the manifest.
    """
    if folder.exists():
        raise FileExistsError(f"{folder} exists; a version is never overwritten")
    unfinished = folder.parent / f".{folder.name}.{uuid4().hex}"
    unfinished.mkdir(parents=True)
    try:
        described = {}
        for name, array in arrays.items():
            with (unfinished / f"{name}.npy").open("w+b") as file:
                os.fchmod(file.fileno(), READ_ONLY)
                np.save(file, np.ascontiguousarray(array), allow_pickle=False)
                _flush(file.fileno(), file)
                file.seek(0)
                checksum = hashlib.file_digest(file, CHECKSUM).hexdigest()
            described[name] = {"shape": list(array.shape), "dtype": array.dtype.str, CHECKSUM: checksum}
        # In the form in which it is read back: JSON makes keys strings, and tuples lists.
        whole = json.loads(json.dumps({**manifest, "format": FORMAT, "arrays": described}))
        with (unfinished / MANIFEST).open("w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), READ_ONLY)
            json.dump({**whole, CHECKSUM: _checksum(whole)}, file, indent=1, sort_keys=True)
            _flush(file.fileno(), file)
        _flush_folder(unfinished)
        unfinished.rename(folder)
        _flush_folder(folder.parent)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def read(folder: Path) -> tuple[Arrays, dict[str, Any]]:
    """Return read-only arrays by name, and the manifest.

    The checksum of every file is verified. The arrays are copies in memory: a file that is truncated or
    overwritten under a process that maps it would kill the process, or change what it serves. Models share
    equal arrays, such as those of content that did not change between two trainings. Raises ArtifactError
    for a missing or damaged file, and for another format.
    """
    manifest = _manifest(folder / MANIFEST)
    return {name: _array(folder / f"{name}.npy", of) for name, of in manifest["arrays"].items()}, manifest


def kind_of(folder: Path) -> str:
    """The kind of the model in `folder`; a model of an earlier release is a hybrid.

    Raises ArtifactError for a missing or damaged manifest.
    """
    return str(_manifest(folder / MANIFEST).get("kind", "hybrid"))


def _array(path: Path, described: Mapping[str, Any]) -> npt.NDArray[Any]:
    try:
        with path.open("rb") as file:
            # Models of earlier releases lack checksums.
            if (
                CHECKSUM in described
                and hashlib.file_digest(file, CHECKSUM).hexdigest() != described[CHECKSUM]
            ):
                raise ArtifactError(
                    f"{path}: does not match its checksum; the file is damaged or belongs to another model"
                )
            file.seek(0)
            array: npt.NDArray[Any] = np.load(file, allow_pickle=False)
    except (OSError, ValueError, SyntaxError, OverflowError, MemoryError) as error:
        raise ArtifactError(f"{path}: {error}") from error
    if list(array.shape) != described["shape"] or array.dtype.str != described["dtype"]:
        found = f"{list(array.shape)} {array.dtype.str}"
        raise ArtifactError(f"{path}: the manifest says {described}, the file holds {found}")
    array.flags.writeable = False
    return _in_memory.setdefault(described[CHECKSUM], array) if CHECKSUM in described else array


def _manifest(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_MANIFEST_BYTES:
            raise ArtifactError(f"{path}: longer than {MAX_MANIFEST_BYTES} bytes, so it is not a manifest")
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ArtifactError(f"{path}: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ArtifactError(f"{path}: not a model of format {FORMAT}, which this release reads; train again")
    described = manifest.get("arrays")
    if not isinstance(described, dict) or not all(map(_is_described, described.items())):
        raise ArtifactError(f"{path}: does not describe its arrays")
    if CHECKSUM in manifest and manifest.pop(CHECKSUM) != _checksum(manifest):
        raise ArtifactError(f"{path}: does not match its checksum; the file is damaged")
    return manifest


def _is_described(entry: tuple[str, Any]) -> bool:
    name, of = entry
    return bool(ARRAY_NAME.fullmatch(name)) and isinstance(of, dict) and {"shape", "dtype"} <= of.keys()


def _checksum(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _flush(descriptor: int, file: Any) -> None:
    file.flush()
    os.fsync(descriptor)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
