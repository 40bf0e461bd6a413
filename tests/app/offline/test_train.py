"""`marquee train --data`, `recommend` and `predict`: files in, files out, no database."""

import errno
import filecmp
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import csv, parquet
from typer.testing import CliRunner, Result

from app.cli.commands import app

N_USERS, N_MOVIES = 90, 50


def marquee(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def succeed(*arguments: object) -> Result:
    result = marquee(*arguments)
    assert result.exit_code == 0, result.output
    return result


def rows(path: Path) -> list[dict[str, Any]]:
    table = csv.read_csv(path) if path.suffix == ".csv" else parquet.read_table(path)
    return list(table.to_pylist())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two kinds of users, who like movies with odd and even ids; the movies 48 and 49 have no ratings."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(5)
    lines = ["userId,movieId,rating,timestamp"]
    for user in range(1, N_USERS + 1):
        for movie in sorted(rng.permutation(47)[:18] + 1):
            kind = 4.5 if movie % 2 == user % 2 else 2.0
            lines.append(f"{user},{movie},{kind + rng.choice([-0.5, 0, 0.5])},{964982703 + movie}")
    (folder / "ratings.csv").write_text("\n".join(lines))
    movies = [
        f'{movie},"Movie {movie} (19{movie + 40})",{"Drama" if movie % 2 else "Comedy"}'
        for movie in range(1, 50)
    ]
    (folder / "movies.csv").write_text("\n".join(["movieId,title,genres", *movies]))
    with zipfile.ZipFile(folder / "damaged.zip", "w") as archive:
        archive.write(folder / "ratings.csv", "ratings.csv")
    damaged = bytearray((folder / "damaged.zip").read_bytes())
    damaged[500] ^= 1
    (folder / "damaged.zip").write_bytes(damaged)
    return folder


@pytest.fixture(scope="module")
def model(data: Path) -> Path:
    folder = data / "models" / "first"
    succeed("train", "--data", data, "--out", folder)
    return folder


@pytest.fixture
def histories(tmp_path: Path) -> Path:
    """Users outside the training set: 1001 likes odd movies, 1002 even ones; 1003 rated an unknown one."""
    file = tmp_path / "histories.csv"
    odd = [f"1001,{movie},5.0" for movie in range(1, 17, 2)] + ["1001,2,1.0"]
    even = [f"1002,{movie},5.0" for movie in range(2, 18, 2)] + ["1002,1,1.0"]
    file.write_text("\n".join(["user_id,movie_id,rating", *odd, *even, "1003,9999,4.0"]))
    return file


def test_a_killed_training_resumes_to_the_same_model(data: Path, tmp_path: Path) -> None:
    settings, out = tmp_path / "settings.toml", tmp_path / "model"
    settings.write_text("factors = 16\niterations = 200\n")
    arguments = ["train", "--data", str(data), "--out", str(out), "--settings", str(settings)]
    process = subprocess.Popen(
        [sys.executable, "-c", "from app.cli.commands import main; main()", *arguments],
        env={**os.environ, "NUMBA_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "2"},
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


def test_lists_are_full_ordered_unseen_and_personal(model: Path, histories: Path, tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("user_id\n1001\n2001\n2002\n")
    out = tmp_path / "lists.csv"
    result = succeed(
        "recommend", "--model", model, "--histories", histories, "--users", tmp_path / "users.csv",
        "--k", 12, "--out", out,
    )  # fmt: skip
    assert "1 ratings in the histories are of movies that are not in the model" in result.output
    lists = rows(out)
    of = {user: [row for row in lists if row["user_id"] == user] for user in (1001, 1002, 1003, 2001, 2002)}
    assert len(lists) == 5 * 12
    for one in of.values():
        assert [row["rank"] for row in one] == list(range(1, 13))
        assert [row["score"] for row in one] == sorted((row["score"] for row in one), reverse=True)
        assert len({row["movie_id"] for row in one}) == 12
        assert all(0 <= row["match_percent"] <= 100 and 0.5 <= row["predicted_stars"] <= 5 for row in one)
    assert not {row["movie_id"] for row in of[1001]} & {*range(1, 17, 2), 2}
    assert sum(row["movie_id"] % 2 for row in of[1001]) >= 10
    assert sum(row["movie_id"] % 2 for row in of[1002]) <= 2
    cold = [[(row["movie_id"], row["score"]) for row in of[user]] for user in (1003, 2001, 2002)]
    assert cold[0] == cold[1] == cold[2]


def test_a_list_is_limited_by_the_catalog_and_the_candidates(
    model: Path, histories: Path, tmp_path: Path
) -> None:
    out = tmp_path / "lists.parquet"
    succeed("recommend", "--model", model, "--histories", histories, "--out", out)
    lists = rows(out)
    assert sorted(row["movie_id"] for row in lists if row["user_id"] == 1003) == list(range(1, 50))
    assert sum(row["user_id"] == 1001 for row in lists) == 49 - 9
    (tmp_path / "candidates.csv").write_text("movie_id\n1\n20\n48\n777\n")
    result = succeed(
        "recommend", "--model", model, "--histories", histories, "--candidates", tmp_path / "candidates.csv",
        "--diversity", 0.5, "--out", out,
    )  # fmt: skip
    assert "1 candidates are not in the model" in result.output
    assert {row["user_id"]: set() for row in rows(out)}.keys() == {1001, 1002, 1003}
    assert {row["movie_id"] for row in rows(out) if row["user_id"] == 1001} == {20, 48}


def test_predictions_have_the_order_of_the_pairs(model: Path, histories: Path, tmp_path: Path) -> None:
    pairs = [(1002, 31), (1001, 31), (5, 31), (1001, 9999), (5, 9999), (1001, 31), (1001, 48)]
    text = "\n".join(["user_id,movie_id", *(f"{user},{movie}" for user, movie in pairs)])
    (tmp_path / "pairs.csv").write_text(text)
    out = tmp_path / "predictions.csv"
    succeed(
        "predict", "--model", model, "--pairs", tmp_path / "pairs.csv", "--histories", histories, "--out", out
    )
    predictions = rows(out)
    assert [(row["user_id"], row["movie_id"]) for row in predictions] == pairs
    for row in predictions:
        assert 0.5 <= row["low"] <= row["stars"] <= row["high"] <= 5
        assert 0 <= row["match_percent"] <= 100
    disliked, liked, unknown_user, *_ = (row["stars"] for row in predictions)
    assert disliked < unknown_user < liked
    assert disliked < 3
    assert liked > 4
    assert predictions[1] == predictions[5]
    assert list(predictions[0]) == ["user_id", "movie_id", "stars", "low", "high", "match_percent"]


def test_a_movie_without_ratings_gets_the_mean_of_ratings_not_of_obscure_movies(tmp_path: Path) -> None:
    known = [f"{user},{movie},4" for user in range(30) for movie in range(5)]
    obscure = [f"{movie % 30},{movie},1" for movie in range(100, 140)]
    (tmp_path / "r.csv").write_text("\n".join(["userId,movieId,rating", *known, *obscure]))
    (tmp_path / "settings.toml").write_text("factors = 4\niterations = 2\n")
    (tmp_path / "p.csv").write_text("user_id,movie_id\n99,999\n")
    model, out = tmp_path / "model", tmp_path / "out.csv"
    succeed("train", "--data", tmp_path / "r.csv", "--out", model, "--settings", tmp_path / "settings.toml")
    succeed("predict", "--model", model, "--pairs", tmp_path / "p.csv", "--out", out)
    assert rows(out)[0]["stars"] == pytest.approx(3.37, abs=0.3)


def test_string_ids_are_written_unchanged(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    ratings = [
        f"user-{user},tt{movie:07d},{rng.integers(1, 11) / 2},{964982703 + movie}"
        for user in range(30)
        for movie in rng.permutation(25)[:14]
    ]
    (tmp_path / "r.csv").write_text("\n".join(["userId,movieId,rating,timestamp", *ratings]))
    (tmp_path / "settings.toml").write_text("factors = 4\niterations = 2\n")
    model, out = tmp_path / "model", tmp_path / "out.csv"
    succeed("train", "--data", tmp_path / "r.csv", "--out", model, "--settings", tmp_path / "settings.toml")
    (tmp_path / "h.csv").write_text("who,tconst,score\nann,tt0000001,5\n17,tt0000002,1\n")
    (tmp_path / "candidates.csv").write_text("movie_id\ntt0000003\ntt0000004\ntt9999999\n")
    result = succeed(
        "recommend", "--model", model, "--histories", tmp_path / "h.csv", "--columns", "user=who",
        "--out", out, "--candidates", tmp_path / "candidates.csv",
    )  # fmt: skip
    assert "1 candidates are not in the model" in result.output
    assert {(row["user_id"], row["movie_id"]) for row in rows(out)} == {
        (user, movie) for user in ("ann", "17") for movie in ("tt0000003", "tt0000004")
    }
    assert [row["user_id"] for row in rows(out)] == ["17", "17", "ann", "ann"]
    (tmp_path / "p.csv").write_text("user_id,movie_id\nbea,tt0000005\nbea,unknown\n")
    succeed("predict", "--model", model, "--pairs", tmp_path / "p.csv", "--out", out)
    assert [(row["user_id"], row["movie_id"]) for row in rows(out)] == [
        ("bea", "tt0000005"),
        ("bea", "unknown"),
    ]
    result = marquee(
        "predict", "--model", model, "--pairs", tmp_path / "p.csv", "--out", out, "--columns", "x=1"
    )
    assert result.exit_code == 2
    assert "--columns" in result.output


def test_an_invalid_rating_is_refused_with_its_position(model: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("user_id,movie_id,rating\n1,2,4.0\n1,3,9.0\n")
    out = tmp_path / "lists.csv"
    result = marquee("recommend", "--model", model, "--histories", bad, "--out", out)
    assert result.exit_code == 1
    assert (
        f"{bad}, line 3: not a rating of the scale: 0.5 to 5 in halves, or 0 to 10 in whole numbers: 9 in"
        in result.output
    )
    assert not out.exists()


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


def test_no_users_and_no_pairs_write_files_without_rows(model: Path, tmp_path: Path) -> None:
    empty, out = tmp_path / "none.csv", tmp_path / "out.csv"
    empty.write_text("user_id,movie_id,rating\n")
    for command, option in (("recommend", "--histories"), ("predict", "--pairs")):
        succeed(command, "--model", model, option, empty, "--out", out)
        assert out.read_text().startswith("user_id,movie_id,")
        assert rows(out) == []


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
