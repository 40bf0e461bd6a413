"""Commands on files, a small data set and a model of it."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import csv, parquet
from typer.testing import CliRunner, Result

from app.cli.commands import app

N_USERS = 90


def marquee(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def succeed(*arguments: object) -> Result:
    result = marquee(*arguments)
    assert result.exit_code == 0, result.output
    return result


def rows(path: Path) -> list[dict[str, Any]]:
    table = csv.read_csv(path) if path.suffix == ".csv" else parquet.read_table(path)
    return list(table.to_pylist())


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
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
