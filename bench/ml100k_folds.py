"""RMSE on the five published folds of MovieLens 100K, u1 to u5, from file to file.

    python -m bench.ml100k_folds FOLDER [--json FILE]

FOLDER is the unpacked ml-100k archive of GroupLens: u1.base, u1.test and so on, and u.item.
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pyarrow import csv

from bench.batch_lists import marquee
from bench.figures import Figure, write

FOLDS = range(1, 6)
TARGET = 0.880


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    figures = list(measure(options.folder))
    for figure in figures:
        print(f"{figure.key}: {figure.value:.4f}")  # noqa: T201 - it is a command
    if options.json:
        write(options.json, options.folder.name, figures)


def measure(folder: Path) -> Iterator[Figure]:
    """The RMSE of each fold, then their mean."""
    errors = []
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        for fold in FOLDS:
            base, test = folder / f"u{fold}.base", folder / f"u{fold}.test"
            marquee("train", "--data", base, "--content", folder, "--out", scratch / "model")
            marquee(
                "predict", "--model", scratch / "model", "--pairs", test, "--histories", base,
                "--out", scratch / "stars.csv",
            )  # fmt: skip
            errors.append(rmse(test, scratch / "stars.csv"))
            yield Figure(f"ml-100k/u{fold}/rmse", errors[-1], "stars")
    yield Figure("ml-100k/u1-u5/rmse", float(np.mean(errors)), "stars", TARGET, at_most=True)


def rmse(test: Path, predicted: Path) -> float:
    """RMSE of predicted stars. Both files hold the same pairs, in any order; raises ValueError otherwise."""
    user, movie, stars, _ = np.loadtxt(test, delimiter="\t", dtype=np.int64, unpack=True)
    table = csv.read_csv(predicted)
    columns = [table[name].to_numpy() for name in ("user_id", "movie_id", "stars")]
    here, there = np.lexsort((movie, user)), np.lexsort((columns[1], columns[0]))
    if not np.array_equal(np.stack((user, movie))[:, here], np.stack(columns[:2])[:, there]):
        raise ValueError(f"{predicted} does not hold the pairs of {test}")
    return float(np.sqrt(np.mean((columns[2][there] - stars[here]) ** 2)))


if __name__ == "__main__":
    main()
