import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from recommender.model import artifact

ARRAYS: artifact.Arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b.c": np.array([], np.int64)}

KILLED_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
import numpy as np
from recommender.model import artifact

save, saved = np.save, []

def save_some(file, array, **options):
    save(file, array, **options)
    saved.append(array)
    if len(saved) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

np.save = save_some
artifact.write(Path(sys.argv[1]), {name: np.zeros(1000) for name in "abcd"}, {})
"""


def test_arrays_are_read_back_read_only(tmp_path: Path) -> None:
    artifact.write(tmp_path / "v1", ARRAYS, {"metrics": {"rmse": 0.8}})
    arrays, manifest = artifact.read(tmp_path / "v1")
    assert manifest["metrics"] == {"rmse": 0.8}
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
    with pytest.raises(ValueError, match="read-only"):
        arrays["a"][0, 0] = 1


def test_a_version_is_never_overwritten(tmp_path: Path) -> None:
    artifact.write(tmp_path / "v1", ARRAYS, {})
    with pytest.raises(FileExistsError):
        artifact.write(tmp_path / "v1", {}, {})
    assert artifact.read(tmp_path / "v1")[0].keys() == ARRAYS.keys()


@pytest.mark.parametrize("n_arrays", [1, 4])
def test_a_writer_killed_half_way_leaves_no_version(tmp_path: Path, n_arrays: int) -> None:
    folder = tmp_path / "v1"
    command = [sys.executable, "-c", KILLED_WHILE_WRITING, str(folder), str(n_arrays)]
    killed = subprocess.run(command, cwd=Path(__file__).parents[3], check=False)
    assert killed.returncode == -9
    assert not folder.exists()
    assert not [path for path in tmp_path.iterdir() if not path.name.startswith(".")]
    artifact.write(folder, ARRAYS, {})
    assert artifact.read(folder)[0].keys() == ARRAYS.keys()


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        artifact.write(tmp_path / "v1", ARRAYS, {"not json": object()})
    assert list(tmp_path.iterdir()) == []


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def _flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def _rewrite(folder: Path, **changes: object) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _describe(folder: Path, name: str, of: object) -> None:
    _rewrite(folder, arrays={name: of})


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda folder: (folder / "manifest.json").unlink(), "manifest.json"),
        (lambda folder: _cut(folder / "manifest.json"), "manifest.json"),
        (lambda folder: (folder / "manifest.json").write_text("[]"), "not a model of format"),
        (lambda folder: (folder / "manifest.json").write_text('{"format": 99}'), "not a model of format"),
        (
            lambda folder: (folder / "manifest.json").write_text(
                json.dumps({"format": artifact.FORMAT, "arrays": {"a": 3}})
            ),
            "describe",
        ),
        (lambda folder: (folder / "a.npy").unlink(), "a.npy"),
        (lambda folder: _cut(folder / "a.npy"), "a.npy"),
        (lambda folder: np.save(folder / "a.npy", np.zeros((2, 3))), "checksum"),
        (lambda folder: np.save(folder / "a.npy", np.array([{}], object)), "a.npy"),
        (lambda folder: _flip(folder / "a.npy", -1), "a.npy: does not match its checksum"),
        (lambda folder: _flip(folder / "b.c.npy", 40), "b.c.npy: does not match its checksum"),
        (
            lambda folder: _rewrite(folder, metrics={"rmse": 0.1}),
            "manifest.json: does not match its checksum",
        ),
        (lambda folder: _describe(folder, "../a", {"shape": [1], "dtype": "<f4"}), "describe"),
    ],
)
def test_a_damaged_model_is_refused_by_the_name_of_the_file(
    tmp_path: Path, harm: object, message: str
) -> None:
    artifact.write(tmp_path / "v1", ARRAYS, {})
    assert callable(harm)
    harm(tmp_path / "v1")
    with pytest.raises(artifact.ArtifactError, match=message):
        artifact.read(tmp_path / "v1")


def test_the_manifest_is_plain_json(tmp_path: Path) -> None:
    artifact.write(tmp_path / "v1", ARRAYS, {"n_users": 3})
    manifest = json.loads((tmp_path / "v1" / "manifest.json").read_text())
    described = manifest["arrays"]["a"]
    checksum = hashlib.sha256((tmp_path / "v1" / "a.npy").read_bytes()).hexdigest()
    assert described == {"shape": [2, 3], "dtype": "<f4", "sha256": checksum}


def test_a_model_of_a_release_without_checksums_is_read(tmp_path: Path) -> None:
    artifact.write(tmp_path / "v1", ARRAYS, {"n_users": 3})
    path = tmp_path / "v1" / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["sha256"]
    for described in manifest["arrays"].values():
        del described["sha256"]
    path.write_text(json.dumps(manifest))
    assert artifact.read(tmp_path / "v1")[0].keys() == ARRAYS.keys()


def test_files_of_a_model_are_read_only(tmp_path: Path) -> None:
    artifact.write(tmp_path / "v1", ARRAYS, {})
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "v1").iterdir()} == {0o444}


@pytest.mark.parametrize("damage", ["truncated", "overwritten"])
def test_a_loaded_model_does_not_change_with_its_files(tmp_path: Path, damage: str) -> None:
    large = np.arange(100_000, dtype=np.float64)  # many pages
    artifact.write(tmp_path / "v1", {"large": large}, {})
    arrays, _ = artifact.read(tmp_path / "v1")
    path = tmp_path / "v1" / "large.npy"
    path.chmod(0o644)
    size = path.stat().st_size
    with path.open("r+b") as file:
        if damage == "truncated":
            file.truncate(0)
        else:
            file.write(bytes(size))
    np.testing.assert_array_equal(arrays["large"], large)
    assert not arrays["large"].flags.writeable
