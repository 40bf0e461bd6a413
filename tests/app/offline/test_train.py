"""`marquee train --data`: files in, a model out, no database; requests that no command fulfills."""

import errno
import filecmp
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.app.offline.conftest import marquee, succeed


def test_a_killed_training_resumes_to_the_same_model(data: Path, tmp_path: Path) -> None:
    settings, out = tmp_path / "settings.toml", tmp_path / "model"
    settings.write_text("factors = 16\niterations = 200\n")
    arguments = ["train", "--data", str(data), "--out", str(out), "--settings", str(settings)]
    process = subprocess.Popen(
        [sys.executable, "-c", "from app.cli.commands import main; main()", *arguments],
        env={**os.environ, "NUMBA_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"},
    )
    kept = tmp_path / ".model.checkpoint"
    while not list(kept.glob("*.npz")):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait(30)
    assert not out.exists()
    succeed(*arguments)
    assert not kept.exists()
    shutil.move(out, tmp_path / "resumed")
    succeed(*arguments)
    files = sorted(path.name for path in out.iterdir())
    assert files == sorted(path.name for path in (tmp_path / "resumed").iterdir())
    assert filecmp.cmpfiles(out, tmp_path / "resumed", files, shallow=False)[0] == files


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("recommend --model {model} --histories {data}/ratings.csv --out {tmp}/x.txt", "must end in"),
        ("recommend --model {data} --histories {data}/ratings.csv --out {tmp}/x.csv", "manifest.json"),
        ("recommend --model {model} --out {tmp}/x.csv", "--histories, --users or both"),
        ("train --data {data}", "--data needs --out"),
        ("train --data {data} --out {data}", "exists and is not a model"),
        ("train --data {tmp} --out {tmp}/m", "has none of ratings.csv"),
        ("train --data {data} --out {tmp}/m --settings {data}/movies.csv", "movies.csv: "),
        ("train --data {data}/damaged.zip --out {tmp}/m", "Bad CRC-32 for file 'ratings.csv'"),
        (
            "recommend --model {model} --histories {data}/ratings.csv --out {data}/movies.csv/x.csv",
            "movies.csv",
        ),
    ],
)
def test_impossible_requests_are_explained_in_one_line(
    data: Path, model: Path, tmp_path: Path, arguments: str, message: str
) -> None:
    result = marquee(*arguments.format(data=data, model=model, tmp=tmp_path).split())
    assert result.exit_code != 0
    assert message in result.output
    assert "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("factors = 0", "factors must be a whole number from 1, not 0"),
        ("factors = 8.5", "factors must be a whole number from 1, not 8.5"),
        ("regularization = nan", "regularization must be a number from 1e-09 to 1000, not nan"),
        ("item_dropout = 1", "item_dropout must be a number from 0 to 0.99, not 1"),
        ("seed = true", "seed must be a whole number from 0, not True"),
        ("factor = 8", "unknown setting factor; the settings are factors, regularization, alpha0"),
    ],
)
def test_invalid_settings_are_refused(data: Path, tmp_path: Path, settings: str, message: str) -> None:
    (tmp_path / "s.toml").write_text(settings)
    result = marquee("train", "--data", data, "--out", tmp_path / "m", "--settings", tmp_path / "s.toml")
    assert result.exit_code == 1
    assert f"s.toml: {message}" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["s.toml"]


def test_a_model_that_cannot_be_written_keeps_the_previous_one(
    data: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "model"
    shutil.copytree(model, out)
    (tmp_path / "s.toml").write_text("factors = 2\niterations = 1\n")

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        result = marquee("train", "--data", data, "--out", out, "--settings", tmp_path / "s.toml")
    assert result.exit_code == 1
    assert "No space left on device" in result.output
    files = sorted(path.name for path in model.iterdir())
    assert filecmp.cmpfiles(model, out, files, shallow=False)[0] == files
    assert not list(tmp_path.glob(".model.????*/*.npy"))


def test_a_model_is_replaced_whole_and_uses_the_settings(data: Path, tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text("factors = 4\niterations = 2\n")
    out = tmp_path / "model"
    out.mkdir()
    for _ in range(2):
        result = succeed("train", "--data", data, "--out", out, "--settings", settings, "--json")
        assert '"ratings": 1620' in result.stdout
        assert '"films": 49' in result.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "settings.toml"]
    succeed("recommend", "--model", out, "--histories", data / "ratings.csv", "--out", tmp_path / "l.csv")
