"""Evaluate the recommender and baselines: `marquee evaluate`."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, get_args

import orjson
import typer

from app import console
from app.cli.database import database
from app.cli.options import (
    SEED,
    Arms,
    Columns,
    Content,
    Data,
    Dates,
    Diversities,
    JsonFile,
    JsonTo,
    PlotFile,
    ProtocolName,
    SettingsFile,
)
from app.cli.reading import in_time, read_data, reading_of, refusals
from app.offline import evaluation
from recommender.evaluation.protocols import Protocol
from recommender.interactions import Interactions
from recommender.item_features import ItemFeatures
from recommender.progress import Progress
from recommender.scorers.names import Kind
from recommender.training.config import Config
from seeds.files.report import SourceError

app = typer.Typer()


@app.command(cls=JsonTo)
def evaluate(
    protocol: ProtocolName = "temporal",
    data: Data = None,
    content: Content = None,
    settings_file: SettingsFile = None,
    columns: Columns = None,
    dates: Dates = None,
    json: JsonFile = None,
    plot: PlotFile = None,
    peers: Annotated[bool, typer.Option(help="Also evaluate third-party libraries if installed.")] = True,
    diversity: Diversities = None,
    model: Arms = None,
    max_users: Annotated[
        int, typer.Option(min=1, help="Most users to test; a random sample of them.")
    ] = 5_000,
    votes: Annotated[
        bool,
        typer.Option(help="Use current vote counts as features (leaks information from the test period)."),
    ] = False,
) -> None:
    """Evaluate the recommender and baselines on the same splits of the database, or of --data."""
    with refusals(), console.progress("Evaluating") as progress:
        if data is None:
            with database() as (_, url):
                ratings, name = evaluation.read_database(url, progress), "database"
        else:
            reading = reading_of(columns, dates)
            ratings, name = read_data(data, content or [], progress, reading), data.name
        if not votes:
            ratings = in_time(ratings)
        compare(
            protocol, ratings, name, settings_file, peers=peers, diversities=diversity or [],
            arms=arms_of(model or []), max_users=max_users, json=json, plot=plot, progress=progress,
        )  # fmt: skip


def arms_of(named: list[str]) -> list[str]:
    """The kinds of models to evaluate, each once, without the hybrid, which is always evaluated.

    `all` names each that can be trained here.
    """
    for kind in named:
        if kind not in ("all", *get_args(Kind)):
            raise typer.BadParameter(f"{kind!r} is not one of {', '.join(get_args(Kind))}, all")
    if "all" in named:
        untrained = "" if find_spec("torch") else "autoencoder"
        if untrained:
            console.notice("The kind `autoencoder` is left out: it needs the extra `neural`.")
        named = [kind for kind in get_args(Kind) if kind != untrained]
    return [kind for kind in dict.fromkeys(named) if kind != "hybrid"]


def compare(
    protocol: str,
    ratings: "tuple[Interactions, ItemFeatures]",
    name: str,
    settings: Path | None,
    *,
    peers: bool,
    diversities: list[float],
    arms: list[str],
    max_users: int,
    json: str | None,
    plot: Path | None,
    progress: Progress,
) -> None:
    """Evaluate on ratings that have been read, and write the outputs. `name`: of the data."""
    chosen = Protocol(protocol)
    file = None if json in (None, "-") else Path(str(json))
    try:
        evaluation.check_outputs(file, plot)
        outcomes = evaluation.evaluate(
            chosen,
            *ratings,
            config=Config.read(settings) if settings else Config(),
            with_peers=peers,
            diversities=diversities,
            arms=arms,
            max_users=max_users,
            seed=SEED,
            progress=progress,
        )
    except ValueError as error:
        raise SourceError(str(error)) from None
    figures = orjson.dumps(evaluation.as_dict(chosen, name, outcomes), option=orjson.OPT_INDENT_2)
    if file is not None:
        file.write_bytes(figures)
    if plot is not None:
        evaluation.draw(chosen, name, outcomes, plot)
    if json == "-":
        typer.echo(figures.decode())
    else:
        evaluation.print_tables(chosen, outcomes)
