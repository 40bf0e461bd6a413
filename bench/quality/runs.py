"""The commands that are measured, and the figures of their reports."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.figures import ROOT, Figure

OURS = "marquee"
# Where the kinds of models are compared. Seeds: so many that most users of a small set are tested.
KINDS = (
    ("ml-latest-small", ("temporal",)),
    ("movietweetings", ("temporal",)),
    ("ml-latest-small", ("strong", "--seeds", "3")),
)
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
STARS = (
    "rmse", "mae", "interval_coverage", "match_calibration_error", "match_calibration_chance", "match_auc",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Run:
    """One command and its JSON report."""

    command: str
    report: dict[str, Any]

    @property
    def of_kinds(self) -> bool:
        """Whether it compares the kinds of models."""
        return "--model" in self.command

    @property
    def key(self) -> str:
        votes = " with votes" if "--votes" in self.command else ""
        arms = " of all kinds" if self.of_kinds else ""
        return f"{self.report['data']}/{self.report['protocol']}{votes}{arms}"


def arms(data: Path) -> Iterator[list[str]]:
    """Arguments of the commands that compare all kinds of models."""
    content = {"ml-latest-small": ["--content", "DATA/tmdb"]} if (data / "tmdb").is_dir() else {}
    for name, protocol in KINDS:
        if (data / name).is_dir():
            of_data = ["--data", f"DATA/{name}", *content.get(name, ()), "--protocol", *protocol]
            yield [*of_data, "--model", "all", "--no-baselines", "--no-peers"]


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
