"""How good the recommender is on the ratings of this database, beside its baselines."""

import numpy as np
import psycopg
from rich.console import Console
from rich.table import Table

from app.terminal import Progress
from app.training import read_films, read_interactions
from recommender import splits
from recommender.evaluate import Evaluation, Report, evaluate
from recommender.hybrid import Hybrid

SEED = 20_260_101
RANKING_FIGURES = ("precision", "recall", "ndcg", "coverage", "diversity")
CUTS = (10, 20, 50)


def evaluate_database(database_url: str, *, max_users: int, progress: Progress) -> Evaluation:
    """Fit on the older 80 % of each user's ratings and foretell the newest 20 %."""
    with psycopg.connect(database_url) as connection:
        progress("reading", 0.0)
        films = read_films(connection)
        interactions = read_interactions(connection, films.item_ids)
    rng = np.random.default_rng(SEED)
    split = splits.temporal_per_user(interactions, rng=rng)
    model = Hybrid.fit(split.train, films, progress=progress)
    return evaluate(
        split,
        {"marquee": lambda history, k: model.recommend(history, k=k).item_idx},
        {"marquee": model.judge},
        vectors=model.content_vectors,
        rng=rng,
        max_users=max_users,
        progress=progress,
    )


def print_tables(evaluation: Evaluation) -> None:
    console = Console()
    console.print(
        f"{evaluation.n_users} users, {evaluation.n_items} films, "
        f"{evaluation.n_train} ratings to learn from, {evaluation.n_held_out} held out; "
        f"relevant is {evaluation.relevant_stars:g} stars or more."
    )
    for k in CUTS:
        table = Table("model", *(f"{figure}@{k}" for figure in RANKING_FIGURES), title=f"Lists of {k}")
        for name, report in evaluation.ranking.items():
            table.add_row(name, *(cell(report, f"{figure}@{k}") for figure in RANKING_FIGURES))
        console.print(table)
    table = Table("model", "RMSE", *next(iter(evaluation.ratings.values())).totals, title="Stars")
    for name, report in evaluation.ratings.items():
        table.add_row(name, cell(report, "rmse"), *(f"{value:.4f}" for value in report.totals.values()))
    console.print(table)


def cell(report: Report, figure: str) -> str:
    if figure in report.totals:
        return f"{report.totals[figure]:.4f}"
    estimate = report.figures[figure]
    return f"{estimate.value:.4f} [{estimate.low:.4f}, {estimate.high:.4f}]"
