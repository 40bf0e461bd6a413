"""Evaluate the recommender and baselines on a data set; print and plot the results."""

import dataclasses
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from app.training.data import read_interactions, read_movies
from recommender.evaluation import compare, third_party
from recommender.evaluation.baselines import damped_means
from recommender.evaluation.compare import KS, OURS, Outcome
from recommender.evaluation.predictions import Report
from recommender.evaluation.protocols import Protocol
from recommender.interactions import Interactions
from recommender.item_features import ItemFeatures
from recommender.progress import Progress
from recommender.training.config import Config

RANKING_FIGURES = ("precision", "recall", "ndcg", "mrr", "map", "coverage", "diversity", "novelty", "gini")
WITH_INTERVAL = ("recall", "ndcg")
SHOWN_AT = 10
MATCHES_AT = 20
PLOTS = (".svg", ".png", ".pdf")
WIDTH = 180  # of tables that are written to a file
STARS_FIGURES = {
    "known_share": "known",
    "interval_coverage": "in interval",
    "interval_width": "its width",
    "match_calibration_error": "match error",
    "match_calibration_chance": "expected error",
    "match_auc": "match AUC",
}


def read_database(database_url: str, progress: Progress) -> tuple[Interactions, ItemFeatures]:
    """Read the training set of a database. Raises NothingToTrainOn if it has no movies."""
    with psycopg.connect(database_url) as connection:
        progress("reading", 0.0)
        movies = read_movies(connection)
        return read_interactions(connection, movies.item_ids), movies


def evaluate(
    protocol: Protocol,
    interactions: Interactions,
    movies: ItemFeatures,
    *,
    config: Config,
    with_peers: bool,
    diversities: Sequence[float],
    arms: Sequence[str] = (),
    max_users: int,
    seed: int,
    progress: Progress,
) -> list[Outcome]:
    """Evaluate our model and the baselines on each split of the protocol.

    with_peers: also evaluate the third-party libraries that are installed. arms: further kinds of models to
    evaluate. Raises ValueError if there are too
    few ratings for the protocol.
    """
    others = third_party.baselines() if with_peers else {}
    predictors = third_party.predictors() if with_peers else {}
    outcomes = compare.compare(
        protocol,
        interactions,
        movies,
        config=config,
        baselines={**compare.BASELINES, **others},
        predictors={"damped means": damped_means, **predictors},
        diversities=diversities,
        arms=arms,
        max_users=max_users,
        seed=seed,
        progress=progress,
    )
    with threadpool_limits(limits=1, user_api="blas"):  # figures must not depend on the number of threads
        return list(outcomes)


def as_dict(protocol: Protocol, data: str, outcomes: list[Outcome]) -> dict[str, Any]:
    """The evaluation as JSON values."""
    trials = [
        {
            "label": outcome.label,
            **dataclasses.asdict(outcome.evaluation),
            "settings": outcome.settings,
            "fit_seconds": outcome.seconds,
        }
        for outcome in outcomes
    ]
    return {"protocol": protocol.value, "data": data, "trials": trials}


def print_tables(protocol: Protocol, outcomes: list[Outcome]) -> None:
    """Print the results, with a column for each split if there are several."""
    console = Console(width=None if Console().is_terminal else WIDTH)
    first = outcomes[0].evaluation
    console.print(
        f"{protocol.value}: {first.n_users} users, {first.n_items} movies, {first.n_train} training ratings, "
        f"{first.n_held_out} held out; relevant from {first.relevant_stars:g} stars."
    )
    if len(outcomes) > 1:
        console.print(_table_by_trial(outcomes))
    elif first.ranking:
        for k in KS:
            console.print(_table_at(k, first.ranking))
    if first.ranking:
        console.print(_table_of_differences(outcomes))
        console.print(_table_of_matches(outcomes))
    console.print(_table_of_stars(outcomes))


def check_outputs(json: Path | None, plot: Path | None) -> None:
    """Create the folders of outputs before the evaluation. Raises ValueError for an unsupported plot."""
    if plot is not None and find_spec("matplotlib") is None:
        raise ValueError("--plot needs the extra `plot`: pip install marquee[plot]")
    if plot is not None and plot.suffix.lower() not in PLOTS:
        raise ValueError(f"{plot} must end in {', '.join(PLOTS[:-1])} or {PLOTS[-1]}")
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


def _table_at(k: int, ranking: Mapping[str, Report]) -> Table:
    table = Table("model", *(f"{figure}@{k}" for figure in RANKING_FIGURES), title=f"Lists of {k}")
    for name, report in ranking.items():
        cells = (cell(report, f"{figure}@{k}", figure in WITH_INTERVAL) for figure in RANKING_FIGURES)
        table.add_row(name, *cells)
    return table


def _table_by_trial(outcomes: list[Outcome]) -> Table:
    table = Table("model", *(outcome.label for outcome in outcomes), title=f"NDCG@{SHOWN_AT}")
    for name in outcomes[0].evaluation.ranking:
        rows = (outcome.evaluation.ranking[name] for outcome in outcomes)
        table.add_row(name, *(cell(report, f"ndcg@{SHOWN_AT}") for report in rows))
    return table


def _table_of_differences(outcomes: list[Outcome]) -> Table:
    """Differences paired by user. An interval without 0 is significant."""
    title = f"NDCG@{SHOWN_AT} of {OURS} minus the other's"
    table = Table("other", *(outcome.label or "difference" for outcome in outcomes), title=title)
    for other in outcomes[0].evaluation.ranking[OURS].against:
        pairs = (outcome.evaluation.ranking[OURS].against[other] for outcome in outcomes)
        table.add_row(other, *(_interval(pair[f"ndcg@{SHOWN_AT}"], sign="+") for pair in pairs))
    return table


def _table_of_matches(outcomes: list[Outcome]) -> Table:
    """How the match percents of our model agree with the order of each model's lists."""
    table = Table("model", "", "rank correlation", "under 50 %", title=f"Match in lists of {MATCHES_AT}")
    for outcome in outcomes:
        for name, report in outcome.evaluation.ranking.items():
            cells = (cell(report, f"{figure}@{MATCHES_AT}") for figure in ("match_agreement", "low_match"))
            table.add_row(name, outcome.label, *cells)
    return table


def _table_of_stars(outcomes: list[Outcome]) -> Table:
    table = Table("model", "", "RMSE", "MAE", *STARS_FIGURES.values(), title="Stars")
    for outcome in outcomes:
        for name, report in outcome.evaluation.ratings.items():
            totals = (cell(report, figure) for figure in ("mae", *STARS_FIGURES))
            table.add_row(name, outcome.label, cell(report, "rmse"), *totals)
    return table


def cell(report: Report, figure: str, with_interval: bool = True) -> str:
    """Format a figure of a report; empty if it is not finite."""
    if figure in report.figures and with_interval:
        return _interval(report.figures[figure])
    value = report.figures[figure].value if figure in report.figures else report.totals[figure]
    return f"{value:.4f}" if np.isfinite(value) else ""


def _interval(estimate: Any, sign: str = "") -> str:
    return f"{estimate.value:{sign}.4f} [{estimate.low:{sign}.4f}, {estimate.high:{sign}.4f}]"
