"""Quality of recommendations and of predicted ratings, measured by `marquee evaluate`.

    python -m bench.quality [--quick | --arms] [--json FILE] [--page FILE] [--data FOLDER]

FOLDER holds any of ml-latest-small, tmdb, movietweetings, ml-100k and ml-1m; by default ../shared/data.
With --arms, only the lists of all kinds of models are measured, on ml-latest-small and movietweetings.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import ml100k_folds
from bench.figures import ROOT, Figure, commit, hardware, write

OURS = "marquee"
DIVERSITIES = (0.1, 0.2, 0.25, 0.3, 0.5)
KEPT = 0.99  # share of NDCG@10 that a diversified list must keep
# (target, whether it is an upper bound), by data set, protocol and figure.
TARGETS = {
    "ml-latest-small/temporal/ndcg@10": (0.144, False),
    "ml-latest-small/rating/match_calibration_error": (0.005, True),
    "ml-latest-small/rating/match_calibration_error beyond chance": (0.005, True),
    "ml-latest-small/rating/match_auc": (0.83, False),
    "ml-latest-small/temporal/diversity gained": (0.06, False),
    "ml-100k/temporal/ndcg@10": (0.215, False),
    "ml-100k/temporal/diversity gained": (0.06, False),
    "ml-1m/strong/ndcg@10": (0.434, False),
    "ml-1m/strong/ndcg@100": (0.514, False),
    "ml-1m/new-user/5 ratings/ndcg@10": (0.48, False),
    "ml-1m/new-user/10 ratings/ndcg@10": (0.525, False),
    "ml-1m/new-item/0 ratings/ndcg@10": (0.35, False),
    "ml-1m/new-item/10 ratings/ndcg@10": (0.365, False),
    "ml-1m/rating/rmse": (0.822, True),
}
SHOWN = ("ndcg@10", "ndcg@100", "recall@20", "recall@50", "diversity@10", "coverage@10")
STARS = (
    "rmse", "mae", "interval_coverage", "match_calibration_error", "match_calibration_chance", "match_auc",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Run:
    """One command and its JSON report."""

    command: str
    report: dict[str, Any]

    @property
    def key(self) -> str:
        votes = " with votes" if "--votes" in self.command else ""
        arms = " of all kinds" if "--model" in self.command else ""
        return f"{self.report['data']}/{self.report['protocol']}{votes}{arms}"


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
    runs = []
    for arguments in arms(options.data) if options.arms else commands(options.data, quick=options.quick):
        runs.append(run(options.data, arguments))
        for figure in figures(runs[-1]):
            print(f"{figure.key}: {figure.value:.4f}", flush=True)  # noqa: T201 - it is a command
    fold_figures = list(ml100k_folds.measure(options.data / "ml-100k")) if has_folds(options) else []
    if not runs:
        print(f"There are no data sets in {options.data}.", file=sys.stderr)  # noqa: T201
    found = [figure for one in runs for figure in figures(one)] + fold_figures
    if options.json:
        write(options.json, ", ".join(dict.fromkeys(one.report["data"] for one in runs)), found)
    if options.page:
        options.page.parent.mkdir(parents=True, exist_ok=True)
        options.page.write_text(page(options.data, runs, found, fold_figures), encoding="utf-8")


def has_folds(options: argparse.Namespace) -> bool:
    """Whether to measure the folds of MovieLens 100K: they exist and the run is not quick."""
    return not (options.quick or options.arms) and (options.data / "ml-100k" / "u1.base").is_file()


def arms(data: Path) -> Iterator[list[str]]:
    """Arguments of the commands that compare all kinds of models."""
    content = ["--content", "DATA/tmdb"] if (data / "tmdb").is_dir() else []
    for name, more in (("ml-latest-small", content), ("movietweetings", [])):
        if (data / name).is_dir():
            yield ["--data", f"DATA/{name}", *more, "--protocol", "temporal", "--model", "all", "--no-peers"]


def commands(data: Path, *, quick: bool) -> Iterator[list[str]]:
    """Arguments of each `marquee evaluate` command, with DATA in place of the folder."""
    small = ["--data", "DATA/ml-latest-small"]
    if (data / "tmdb").is_dir():
        small += ["--content", "DATA/tmdb"]
    for name in ("ml-latest-small", *(() if quick else ("ml-100k", "ml-1m"))):
        if not (data / name).is_dir():
            continue
        here = small if name == "ml-latest-small" else ["--data", f"DATA/{name}"]
        diversity = [text for one in DIVERSITIES for text in ("--diversity", str(one))]
        yield [*here, "--protocol", "temporal", *diversity]
        yield [*here, "--protocol", "rating"]
        for protocol in () if quick else ("strong", "global", "new-user", "new-item"):
            yield [*here, "--protocol", protocol]
    if (data / "ml-latest-small").is_dir() and (data / "tmdb").is_dir() and not quick:
        yield [*small, "--protocol", "new-item", "--votes", "--no-peers"]
    if not quick:
        yield from arms(data)
    if (data / "movietweetings").is_dir() and not quick:
        for protocol in ("temporal", "rating"):  # the others take long with so many movies and add little
            yield ["--data", "DATA/movietweetings", "--protocol", protocol]


def run(data: Path, arguments: list[str]) -> Run:
    """Run `marquee evaluate`. Raises CalledProcessError if it fails."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.json"
        real = [text.replace("DATA", str(data), 1) if text.startswith("DATA") else text for text in arguments]
        command = [
            sys.executable,
            "-c",
            "from app.cli.commands import main; main()",
            "evaluate",
            *real,
            "--json",
            str(file),
        ]
        environment = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", **os.environ}
        subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
        report = json.loads(file.read_text(encoding="utf-8"))
    return Run("marquee evaluate " + " ".join(text.replace("DATA", "$DATA") for text in arguments), report)


def figures(run: Run) -> Iterator[Figure]:
    """The figures to compare between commits: ours, and ours minus the best baseline."""
    for trial in run.report["trials"]:
        key = f"{run.key}/{trial['label']}".rstrip("/")
        if OURS in trial["ranking"]:
            ours = trial["ranking"][OURS]
            for name in ("ndcg@10", "ndcg@100", "recall@20", "recall@50"):
                yield _figure(f"{key}/{name}", ours["figures"][name]["value"])
            others = {name: one for name, one in ours["against"].items() if not name.startswith(OURS)}
            best = min(others, key=lambda name: others[name]["ndcg@10"]["value"])
            yield _figure(f"{key}/ndcg@10 over {best}", others[best]["ndcg@10"]["value"])
            if (gained := _diversity_gained(trial["ranking"])) is not None:
                yield _figure(f"{key}/diversity gained", gained)
        if run.report["protocol"] == "rating":
            stars = trial["ratings"][OURS]
            yield _figure(f"{key}/rmse", stars["figures"]["rmse"]["value"], "stars")
            for name in STARS[2:]:
                yield _figure(f"{key}/{name}", stars["totals"][name])
            error, chance = (stars["totals"][f"match_calibration_{name}"] for name in ("error", "chance"))
            yield _figure(f"{key}/match_calibration_error beyond chance", error - chance)


def page(data: Path, runs: list[Run], found: list[Figure], fold_figures: list[Figure]) -> str:
    """Markdown: the data, the targets, then each command with all models."""
    lines = [
        "# Quality",
        "",
        f"Written by `make bench-quality` at commit `{commit()}`, {datetime.now(UTC):%Y-%m-%d}, on",
        f"{hardware()}.",
        "Each table shows the command above it. Lists rank the whole catalog; a rating of four stars or more",
        "is relevant. Intervals are 95 % bootstrap intervals over users. The last column is ours minus the",
        "model of the row, paired by user. Baselines are tuned on a validation part of the training set;",
        "ours has its default settings. Current vote counts are features only with --votes. The",
        "calibration error that correct match percents would show by chance stands beside the measured one.",
        "",
        "| data | ratings, SHA-256 |",
        "|---|---|",
    ]
    for name in dict.fromkeys(run.report["data"] for run in runs):
        file = next(f for f in sorted((data / name).iterdir()) if "ratings" in f.name or f.name == "u.data")
        lines.append(f"| {name} | `{hashlib.sha256(file.read_bytes()).hexdigest()[:16]}` {file.name} |")
    lines += _targets(found)
    for run in runs:
        lines += ["", f"## {run.key}", "", "```sh", run.command, "```"]
        for trial in run.report["trials"]:
            lines += _tables(trial)
    if fold_figures:
        lines += [
            "",
            "## ml-100k/u1-u5",
            "",
            "```sh",
            "python -m bench.ml100k_folds $DATA/ml-100k",
            "```",
            "",
        ]
        lines += [_row("fold", "RMSE"), "|---|---|"]
        lines += [_row(figure.key.split("/")[1], f"{figure.value:.4f}") for figure in fold_figures]
    return "\n".join(lines) + "\n"


def _targets(found: list[Figure]) -> Iterator[str]:
    yield from ("", "## Targets", "", "| figure | value | target | holds |", "|---|---|---|---|")
    for figure in found:
        if figure.target is not None:
            holds = "yes" if figure.holds else "no"
            bound = f"{'≤' if figure.at_most else '≥'} {figure.target:g}"
            yield f"| {figure.key} | {figure.value:.4f} | {bound} | {holds} |"


def _tables(trial: dict[str, Any]) -> Iterator[str]:
    counts = f"{trial['n_users']} users, {trial['n_train']} training ratings, {trial['n_held_out']} held out."
    yield from ("", f"{trial['label']}: {counts}" if trial["label"] else counts)
    if trial["ranking"]:
        yield from ("", _row("model", *SHOWN, "ours, NDCG@10"), "|---" * (len(SHOWN) + 2) + "|")
    for name, report in trial["ranking"].items():
        against = trial["ranking"][OURS]["against"].get(name, {}).get("ndcg@10")
        yield _row(name, *(_cell(report, key) for key in SHOWN), _interval(against, "+") if against else "")
    yield from ("", _row("stars", *STARS), "|---" * (len(STARS) + 1) + "|")
    for name, report in trial["ratings"].items():
        yield _row(name, *(_cell(report, key) for key in STARS))


def _cell(report: dict[str, Any], key: str) -> str:
    if key in report["figures"]:
        return _interval(report["figures"][key])
    value = report["totals"].get(key)
    return "" if value is None else f"{value:.4f}"


def _interval(estimate: dict[str, float], sign: str = "") -> str:
    return f"{estimate['value']:{sign}.4f} [{estimate['low']:{sign}.4f}, {estimate['high']:{sign}.4f}]"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _figure(key: str, value: float, unit: str = "") -> Figure:
    target, at_most = TARGETS.get(key, (None, False))
    return Figure(key, value, unit, target, at_most)


def _diversity_gained(ranking: dict[str, Any]) -> float | None:
    """The largest gain of diversity@10 among the settings that keep a share KEPT of NDCG@10."""
    plain = ranking[OURS]["figures"]
    spread = [report["figures"] for name, report in ranking.items() if name.startswith(f"{OURS}, diversity")]
    kept = [one for one in spread if one["ndcg@10"]["value"] >= KEPT * plain["ndcg@10"]["value"]]
    gains = [one["diversity@10"]["value"] - plain["diversity@10"]["value"] for one in kept]
    return max(gains, default=0.0) if spread else None


if __name__ == "__main__":
    main()
