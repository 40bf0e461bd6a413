"""Evaluate the recommender and baselines: `marquee evaluate`."""

from collections.abc import Mapping
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, get_args

import orjson
import typer

from app import console
from app.cli.database import database
from app.cli.options import (
    SEED,
    Against,
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
    Seeds,
    SettingsFile,
)
from app.cli.reading import in_time, read_data, reading_of, refusals
from app.offline import evaluation
from app.offline.evaluation import Task, fingerprint
from app.offline.evaluation_tables import print_tables
from app.offline.plot import check_outputs, draw
from app.offline.previous import Differences, differences_from, differences_of_models, model_of, report_of
from app.offline.rating_files import Reading
from recommender.evaluation.compare import Outcome
from recommender.evaluation.entrants import Entrants
from recommender.evaluation.protocols import Protocol
from recommender.interactions import Interactions
from recommender.item_features import ItemFeatures
from recommender.metrics import Estimate
from recommender.progress import Progress
from recommender.scorers.names import Kind
from recommender.training.config import Config
from seeds.files.report import SourceError

MAX_SEEDS = 20

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
    baselines: Annotated[
        bool, typer.Option(help="Also evaluate item-knn, pure-svd, ease and ials with their best settings.")
    ] = True,
    diversity: Diversities = None,
    model: Arms = None,
    seeds: Seeds = "1",
    against: Against = None,
    max_users: Annotated[
        int, typer.Option(min=1, help="Most users to test; a random sample of them.")
    ] = 5_000,
    votes: Annotated[
        bool,
        typer.Option(help="Use current vote counts as features (leaks information from the test period)."),
    ] = False,
) -> None:
    """Evaluate the recommender and baselines on the same splits of the database, or of --data."""
    drawn, arms = seeds_of(seeds), arms_of(model or [])
    with refusals(), console.progress("Evaluating") as progress:
        file = None if json in (None, "-") else Path(str(json))
        check_outputs(file, plot)
        before = model_of(against) if against is not None and against.is_dir() else None
        ratings, name = read(data, content or [], reading_of(columns, dates), progress)
        if not votes:
            ratings = in_time(ratings)
        task = Task(Protocol(protocol), name, fingerprint(ratings[0]), drawn, max_users)
        earlier = report_of(against, task) if against is not None and before is None else None
        config = Config.read(settings_file) if settings_file else Config()
        entrants = evaluation.entrants_of(
            config=config, with_baselines=baselines, with_peers=peers, diversities=diversity or [],
            arms=arms, previous=before,
        )  # fmt: skip
        outcomes = evaluated(task, ratings, entrants, progress)
        differences = differences_of_models(outcomes) if before else None
        if earlier is not None:
            differences = differences_from(earlier, outcomes)
        write(task, outcomes, differences, json=json, file=file, plot=plot)


def evaluated(
    task: Task, ratings: tuple[Interactions, ItemFeatures], entrants: Entrants, progress: Progress
) -> list[Outcome]:
    """Raises SourceError for ratings that do not suit the protocol."""
    try:
        return evaluation.evaluate(task, *ratings, entrants, progress)
    except ValueError as error:
        raise SourceError(str(error)) from None


def read(
    data: Path | None, content: list[Path], reading: Reading, progress: Progress
) -> tuple[tuple[Interactions, ItemFeatures], str]:
    """The ratings of the files, or of the database without any, and their name."""
    if data is not None:
        return read_data(data, content, progress, reading), data.name
    with database() as (settings, url):
        return evaluation.read_database(url, progress, settings.content_attributes), "database"


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


def seeds_of(text: str) -> tuple[int, ...]:
    """The seeds: a list such as `3,5,8`, or the first of a number of them. Raises typer.BadParameter."""
    try:
        given = tuple(int(part) for part in text.split(",", MAX_SEEDS))
    except ValueError:
        given = ()
    if len(given) == 1 and 1 <= given[0] <= MAX_SEEDS:
        return tuple(SEED + 1_000 * number for number in range(given[0]))
    if (
        1 < len(given) <= MAX_SEEDS
        and len(set(given)) == len(given)
        and 0 <= min(given) <= max(given) < 2**31
    ):
        return given
    raise typer.BadParameter(
        f"must be a number from 1 to {MAX_SEEDS}, or 2 to {MAX_SEEDS} different seeds from 0 to 2147483647, "
        "such as 3,5,8",
        param_hint="--seeds",
    )


def write(
    task: Task,
    outcomes: list[Outcome],
    differences: Differences | None,
    *,
    json: str | None,
    file: Path | None,
    plot: Path | None,
) -> None:
    """Write or print the results."""
    report = evaluation.as_dict(task, outcomes) | (
        {"previous": {label: asdicts(of_label) for label, of_label in differences.items()}}
        if differences
        else {}
    )
    text = orjson.dumps(report, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY)
    if file is not None:
        file.write_bytes(text)
    if plot is not None:
        draw(task.protocol, task.data, outcomes, plot)
    if json == "-":
        typer.echo(text.decode())
    else:
        print_tables(task.protocol, outcomes, len(task.seeds), differences)


def asdicts(figures: Mapping[str, Estimate]) -> dict[str, Any]:
    return {name: asdict(estimate) for name, estimate in figures.items()}
