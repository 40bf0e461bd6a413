"""The tables of an evaluation on the terminal."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from app.offline.previous import Differences
from recommender.evaluation.compare import KS, Outcome
from recommender.evaluation.entrants import OURS
from recommender.evaluation.pooling import Report
from recommender.evaluation.protocols import Protocol

RANKING_FIGURES = ("precision", "recall", "ndcg", "mrr", "map", "coverage", "diversity", "novelty", "gini")
WITH_INTERVAL = ("recall", "ndcg")
SHOWN_AT = 10
MATCHES_AT = 20
WIDTH = 180  # of tables that are written to a file
WIDEST = 10_000
STARS_FIGURES = {
    "known_share": "known",
    "interval_coverage": "in interval",
    "interval_width": "its width",
    "match_calibration_error": "match error",
    "match_calibration_chance": "expected error",
    "match_auc": "match AUC",
}


def print_tables(
    protocol: Protocol, outcomes: list[Outcome], n_seeds: int = 1, differences: Differences | None = None
) -> None:
    """Print the results, with a column for each split if there are several.

    differences: from the previous model.
    """
    console = Console(width=None if Console().is_terminal else WIDTH)
    first = outcomes[0].evaluation
    pooled = f", {n_seeds} seeds pooled" if n_seeds > 1 else ""
    console.print(
        f"{protocol.value}{pooled}: {first.n_users} users, {first.n_items} movies, "
        f"{first.n_train} training ratings, {first.n_held_out} held out; "
        f"relevant from {first.relevant_stars:g} stars."
    )
    tables = []
    if len(outcomes) > 1:
        tables.append(_table_by_trial(outcomes))
    elif first.ranking:
        tables += [_table_at(k, first.ranking) for k in KS]
    if first.ranking:
        tables += [_table_of_differences(outcomes), _table_of_matches(outcomes)]
    tables.append(_table_of_stars(outcomes))
    if differences:
        tables.append(_table_of_previous(differences))
    for table in tables:
        print_table(console, table)


def print_table(console: Console, table: Table) -> None:
    """Print a table; its rows one below the other where it is wider than the terminal."""
    if console.measure(table, options=console.options.update(max_width=WIDEST)).maximum <= console.width:
        console.print(table)
        return
    lines = [str(table.title)]
    headers = [str(column.header) for column in table.columns]
    for name, *cells in zip(*(column.cells for column in table.columns), strict=True):
        lines.append(str(name))
        pairs = zip(headers[1:], cells, strict=True)
        lines += [f"  {header}: {cell}" if header else f"  {cell}" for header, cell in pairs if cell]
    console.print("\n".join(lines), markup=False, highlight=False)


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


def _table_of_previous(differences: Differences) -> Table:
    """Ours minus the previous model's, paired by user."""
    table = Table(
        "figure", *(label or "difference" for label in differences), title=f"{OURS} minus the previous model"
    )
    for figure in dict.fromkeys(name for of_label in differences.values() for name in of_label):
        cells = (of_label.get(figure) for of_label in differences.values())
        table.add_row(figure, *("" if cell is None else _interval(cell, sign="+") for cell in cells))
    return table


def _table_of_matches(outcomes: list[Outcome]) -> Table:
    """The agreement of our model's match percents with the order of each model's lists."""
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
