"""Quality of recommendations and of predicted ratings, measured by `marquee evaluate`.

    python -m bench.quality [--quick | --arms] [--json FILE] [--page FILE] [--data FOLDER]

FOLDER holds any of ml-latest-small, tmdb, movietweetings, ml-100k and ml-1m; by default ../shared/data.
With --arms, only the lists of all kinds of models are measured, on ml-latest-small and movietweetings, and
only their part of the page is made anew.
"""

import argparse
import sys
from pathlib import Path

from bench import ml100k_folds
from bench.figures import ROOT, Figure, write
from bench.quality.page import page, with_kinds
from bench.quality.runs import Run, arms, commands, figures, run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="run two protocols on one data set")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--page", type=Path, help="write a Markdown page to this file")
    parser.add_argument(
        "--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the data sets"
    )
    parser.add_argument("--arms", action="store_true", help="measure only the lists of all kinds of models")
    options = parser.parse_args()
    runs: list[Run] = []
    for arguments in arms(options.data) if options.arms else commands(options.data, quick=options.quick):
        runs.append(run(options.data, arguments))
        for figure in figures(runs[-1]):
            print(f"{figure.key}: {figure.value:.4f}", flush=True)  # noqa: T201 - it is a command
        write_files(options, runs, [])  # a run that is stopped keeps what it measured
    fold_figures = list(ml100k_folds.measure(options.data / "ml-100k")) if has_folds(options) else []
    if not runs:
        print(f"There are no data sets in {options.data}.", file=sys.stderr)  # noqa: T201
    write_files(options, runs, fold_figures)


def write_files(options: argparse.Namespace, runs: list[Run], fold_figures: list[Figure]) -> None:
    """Write the figures and the page that were asked for."""
    found = [figure for one in runs for figure in figures(one)] + fold_figures
    if options.json:
        write(options.json, ", ".join(dict.fromkeys(one.report["data"] for one in runs)), found)
    if options.page:
        options.page.parent.mkdir(parents=True, exist_ok=True)
        text = page(options.data, runs, found, fold_figures)
        if options.arms and options.page.exists():
            text = with_kinds(options.page.read_text(encoding="utf-8"), options.data, runs)
        options.page.write_text(text, encoding="utf-8")


def has_folds(options: argparse.Namespace) -> bool:
    """Whether to measure the folds of MovieLens 100K: they exist and the run is not quick."""
    return not (options.quick or options.arms) and (options.data / "ml-100k" / "u1.base").is_file()


if __name__ == "__main__":
    main()
