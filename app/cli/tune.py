"""Search for training settings: `marquee tune`."""

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from app import console
from app.cli.options import SEED, Columns, Content, Dates, ProtocolName
from app.cli.reading import in_time, read_data, reading_of, refusals
from recommender.evaluation.protocols import Protocol
from recommender.extras import install_command
from recommender.interactions import Interactions
from recommender.item_features import ItemFeatures
from seeds.files.report import SourceError

TRIALS = 40
app = typer.Typer()


@app.command()
def tune(
    data: Annotated[
        list[Path],
        typer.Option(
            help="Ratings as for `train`; repeat it to search for settings that suit several data sets.",
            exists=True,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(help="The file for the settings, for `--settings`: .toml or .json.", dir_okay=False),
    ],
    content: Content = None,
    columns: Columns = None,
    dates: Dates = None,
    protocol: ProtocolName = "temporal",
    trials: Annotated[int | None, typer.Option(min=1, help="Stop after so many trials.")] = None,
    minutes: Annotated[float | None, typer.Option(min=0, help="Stop after so many minutes.")] = None,
    storage: Annotated[
        Path | None,
        typer.Option(help="The file that keeps the trials, to resume from; default: beside --out."),
    ] = None,
    seed: int = SEED,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Search for settings on a validation split, apart from the test split; the same command resumes."""
    with refusals(), console.progress("Tuning") as progress:
        reading = reading_of(columns, dates)
        read = [in_time(read_data(path, content or [], progress, reading)) for path in data]
        result = search(
            read, Protocol(protocol), out,
            storage=storage or out.with_suffix(".db"), minutes=minutes, seed=seed, progress=progress,
            trials=TRIALS if trials is None and minutes is None else trials,
        )  # fmt: skip
    if json:
        typer.echo(orjson.dumps(result, option=orjson.OPT_INDENT_2).decode())
    else:
        typer.echo(
            f"{out}: {result['gain']:.4f} times the NDCG@10 of the defaults after {result['trials']} trials"
        )


def search(data: list[tuple[Interactions, ItemFeatures]], *where: Any, **limits: Any) -> dict[str, Any]:
    """Call `study.tune`. Raises SourceError."""
    try:
        from app.offline import study  # noqa: PLC0415 - an extra, and this file lists the options
    except ModuleNotFoundError:
        raise console.fail(f"tuning needs the extra `tune`: {install_command('tune')}") from None
    try:
        return study.tune(data, *where, **limits)
    except study.TuningError as error:
        raise SourceError(str(error)) from None
