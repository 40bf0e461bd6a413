"""Options shared by several commands, and the output of results."""

from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
import typer
from typer.core import TyperCommand

from recommender.scorers.names import Kind
from seeds.files.column_roles import ColumnNames

SEED = 20_260_101
FILE = {"exists": True, "dir_okay": False}

Data = Annotated[
    Path | None,
    typer.Option(
        help="A file of ratings (user_id, movie_id, rating[, timestamp], or the names of other data sets; "
        "csv, Parquet, JSON lines, ratings.dat, u.data; also gz, bz2, xz, zst), "
        "or the folder or zip it is in.",
        exists=True,
    ),
]
Columns = Annotated[
    str | None,
    typer.Option(
        "--columns",
        help="The columns of the files, if their names are not recognized: "
        "user=..,movie=..,rating=..,time=..; names or positions from 1; "
        "rating= or time= without a name means that the files have no such column.",
    ),
]
Dates = Annotated[
    Literal["DMY", "MDY"] | None,
    typer.Option(
        "--dates", help="Day or month first in dates such as 01/02/2014, if no date of a file shows it."
    ),
]
ModelOut = Annotated[Path | None, typer.Option("--out", help="With --data: the folder for the model.")]
Content = Annotated[
    list[Path] | None,
    typer.Option(
        help="With --data: folders with movies.csv, movies.dat or u.item, links.csv, tags.csv, TMDB's files; "
        "the folder of the ratings is always read.",
        exists=True,
    ),
]
SettingsFile = Annotated[
    Path | None,
    typer.Option(
        "--settings",
        help="Settings of `marquee tune`: TOML or JSON; default `TRAINING_SETTINGS`.",
        envvar="TRAINING_SETTINGS",
        **FILE,
    ),
]
Sentences = Annotated[
    Path | None,
    typer.Option(
        help="Folder of a Model2Vec sentence-embedding model; default `SENTENCE_MODEL`.",
        envvar="SENTENCE_MODEL",
        exists=True,
        file_okay=False,
    ),
]
ProtocolName = Annotated[
    Literal["strong", "temporal", "global", "new-user", "new-item", "rating"],
    typer.Option(help="How ratings are split into training and test."),
]
JsonFile = Annotated[
    str | None, typer.Option("--json", help="Write all figures to this file; without a name, print them.")
]
PlotFile = Annotated[
    Path | None,
    typer.Option(help="Draw the figures with their intervals: .svg, .png or .pdf.", dir_okay=False),
]
Diversities = Annotated[
    list[float] | None, typer.Option(min=0, max=1, help="Also evaluate our lists with this diversity.")
]
Arms = Annotated[
    list[str] | None,
    typer.Option(help="Also evaluate this kind of model (docs/models.md), as it is served; `all`: each."),
]
Seeds = Annotated[
    str,
    typer.Option(
        help="Repeat the protocol with as many seeds, or with each of a list such as 3,5,8, and pool their "
        "users."
    ),
]
Against = Annotated[
    Path | None,
    typer.Option(
        help="A previous model to compare with, paired by user: a report of --json with the same options, "
        "or the folder of a model, whose kind and settings are fitted again.",
        exists=True,
    ),
]
ModelKind = Annotated[
    Kind,
    typer.Option(
        "--model",
        help="The model to train: docs/models.md describes them; default `TRAINING_MODEL`.",
        envvar="TRAINING_MODEL",
    ),
]
IfBetter = Annotated[
    bool,
    typer.Option(
        "--activate-if-better",
        help="Activate the model only if it is no worse than the active one on held-out ratings; exit with "
        "status 3 if it is.",
    ),
]
Model = Annotated[Path, typer.Option(help="Folder of a model made by `marquee train --data`.")]
Out = Annotated[Path, typer.Option(help="The output file: .csv or .parquet.", dir_okay=False)]
Verbose = Annotated[bool, typer.Option("--verbose", help="Print all examples that are kept, in full.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def names_of(columns: str | None) -> ColumnNames:
    """Parse `--columns`. Raises typer.BadParameter."""
    try:
        return ColumnNames() if columns is None else ColumnNames.parse(columns)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--columns") from None


class JsonTo(TyperCommand):
    """A command that reads `--json` without a value as `--json -`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        for place, argument in enumerate(args):
            if argument == "--json" and (place + 1 == len(args) or args[place + 1].startswith("--")):
                args.insert(place + 1, "-")
        return super().parse_args(ctx, args)


def show(result: object, *, json: bool) -> None:
    """Print a result on standard output, as JSON if asked."""
    typer.echo(
        orjson.dumps(result, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY).decode()
        if json
        else result
    )
