"""Plot an evaluation: the extra `plot`."""

import dataclasses
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from recommender.evaluation.compare import Outcome
from recommender.evaluation.entrants import OURS
from recommender.evaluation.protocols import Protocol
from recommender.extras import install_command
from seeds.files.report import SourceError

SHOWN_AT = 10
PLOTS = (".svg", ".png", ".pdf")


def check_outputs(json: Path | None, plot: Path | None) -> None:
    """Create the folders of outputs before the evaluation. Raises SourceError for an unsupported plot."""
    if plot is not None and find_spec("matplotlib") is None:
        raise SourceError(f"--plot needs the extra `plot`: {install_command('plot')}")
    if plot is not None and plot.suffix.lower() not in PLOTS:
        raise SourceError(f"{plot} must end in {', '.join(PLOTS[:-1])} or {PLOTS[-1]}")
    for file in filter(None, (json, plot)):
        file.parent.mkdir(parents=True, exist_ok=True)


def draw(protocol: Protocol, data: str, outcomes: list[Outcome], file: Path) -> None:
    """Plot NDCG@10 with 95 % intervals, or RMSE if there are no lists.

    The format follows from the suffix of the file's name.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

    lists = bool(outcomes[0].evaluation.ranking)
    key = f"ndcg@{SHOWN_AT}" if lists else "rmse"
    reports = [outcome.evaluation.ranking if lists else outcome.evaluation.ratings for outcome in outcomes]
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    names = list(reports[0])
    places = np.arange(len(outcomes) if len(outcomes) > 1 else len(names))
    for i, name in enumerate(names):
        estimates = [report[name].figures[key] for report in reports]
        value, low, high = np.array([dataclasses.astuple(estimate) for estimate in estimates]).T
        where = places if len(outcomes) > 1 else places[i : i + 1]
        style: dict[str, Any] = {"linewidth": 2.5 if name == OURS else 1.2, "marker": "o", "capsize": 3}
        axes.errorbar(where, value, yerr=(value - low, high - value), label=name, **style)
    axes.set_xticks(
        places, [outcome.label for outcome in outcomes] if len(outcomes) > 1 else names, rotation=30
    )
    axes.set_ylabel(key.upper())
    axes.set_title(f"{data}: {protocol.value}, 95 % intervals")
    axes.grid(axis="y", alpha=0.3)
    if len(outcomes) > 1:
        axes.legend(fontsize="small")
    figure.savefig(file)
