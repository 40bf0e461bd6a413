"""Commands on files, without a database: lists and predictions in batches, training and evaluation."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from zipfile import BadZipFile

import orjson
import typer
from typer.core import TyperCommand

from app import console
from app.console import Progress
from recommender.training.config import Config, InvalidSettings
from seeds.files.report import Report, SourceError

if TYPE_CHECKING:
    from app.offline.rating_files import Reading
    from recommender.interactions import Interactions
    from recommender.item_features import ItemFeatures

SEED = 20_260_101
TRIALS = 40
FILE = {"exists": True, "dir_okay": False}
research = typer.Typer()

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
        help="Which columns the files have, where their names are not known: "
        "user=..,movie=..,rating=..,time=..; names, or places from 1; "
        "rating= or time= without a name says that there is none.",
    ),
]
Dates = Annotated[
    Literal["DMY", "MDY"] | None,
    typer.Option(
        "--dates", help="Day or month first in dates such as 01/02/2014, where no date of a file shows it."
    ),
]
ModelOut = Annotated[Path | None, typer.Option("--out", help="With --data: the folder for the model.")]
Content = Annotated[
    list[Path] | None,
    typer.Option(
        help="With --data: folders with movies.csv, movies.dat or u.item, links.csv, tags.csv, TMDB's files; "
        "those beside the ratings are read anyway.",
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
    typer.Option(help="How ratings are divided into what is learnt from and what is foretold."),
]
JsonFile = Annotated[
    str | None, typer.Option("--json", help="Write all figures to this file; without a name, print them.")
]
PlotFile = Annotated[
    Path | None,
    typer.Option(help="Draw the figures with their intervals: .svg, .png or .pdf.", dir_okay=False),
]
Diversities = Annotated[
    list[float] | None, typer.Option(min=0, max=1, help="Also lists of ours with this diversity.")
]
Model = Annotated[Path, typer.Option(help="Folder of a model made by `marquee train --data`.")]
Out = Annotated[Path, typer.Option(help="What to write: .csv or .parquet.", dir_okay=False)]


@research.command()
def recommend(
    model: Model,
    out: Out,
    histories: Annotated[
        Path | None,
        typer.Option(help="Ratings of the users: user_id, movie_id, rating[, timestamp].", exists=True),
    ] = None,
    users: Annotated[Path | None, typer.Option(help="More users, without a history.", **FILE)] = None,
    k: Annotated[int, typer.Option(min=1, help="Movies in a list.")] = 100,
    diversity: Annotated[float, typer.Option(min=0, max=1, help="0 orders by score alone.")] = 0.0,
    candidates: Annotated[Path | None, typer.Option(help="Only these movies: movie_id.", **FILE)] = None,
    columns: Columns = None,
    dates: Dates = None,
) -> None:
    """Write lists for users, by a model on disk.

    Columns: user_id, movie_id, rank, score, match_percent, predicted_stars.
    """
    from app.offline import batch, rating_files  # noqa: PLC0415 - bring the recommender

    if histories is None and users is None:
        raise typer.BadParameter("give --histories, --users or both")
    with refusals(), console.progress("Recommending") as progress:
        rating_files.check_output(out)
        reading = reading_of(columns, dates)
        loaded = batch.load(model)
        known = batch.read_histories(loaded, histories, users, progress, reading)
        note(known.n_unknown, "ratings in the histories are of movies that the model does not know")
        allowed = None
        if candidates is not None:
            allowed, n_unknown = batch.allowed_movies(loaded, candidates, progress, reading)
            note(n_unknown, "candidates are movies that the model does not know")
        tell_notes(reading.notes)
        n_rows = batch.recommend(
            loaded, known, out, k=k, diversity=diversity, allowed=allowed, progress=progress
        )
    typer.echo(f"{out}: {n_rows} rows for {len(known.user_ids)} users")


@research.command()
def predict(
    model: Model,
    pairs: Annotated[Path, typer.Option(help="What to judge: user_id, movie_id.", **FILE)],
    out: Out,
    histories: Annotated[
        Path | None,
        typer.Option(help="Ratings of the users: user_id, movie_id, rating[, timestamp].", exists=True),
    ] = None,
    columns: Columns = None,
    dates: Dates = None,
) -> None:
    """Write predictions for pairs: user_id, movie_id, stars, low, high, match_percent."""
    from app.offline import batch, rating_files  # noqa: PLC0415 - bring the recommender

    with refusals(), console.progress("Predicting") as progress:
        rating_files.check_output(out)
        reading = reading_of(columns, dates)
        loaded = batch.load(model)
        known = batch.read_histories(loaded, histories, None, progress, reading)
        note(known.n_unknown, "ratings in the histories are of movies that the model does not know")
        wanted = rating_files.read_pairs(pairs, progress, reading=reading)
        tell_notes(reading.notes)
        n_rows = batch.predict(loaded, wanted, known, out, progress)
    typer.echo(f"{out}: {n_rows} rows")


@research.command()
def tune(
    data: Annotated[
        list[Path],
        typer.Option(
            help="Ratings as for `train`; given several times, settings for all of them.", exists=True
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="The settings: .toml or .json, for `--settings`.", dir_okay=False)
    ],
    content: Content = None,
    columns: Columns = None,
    dates: Dates = None,
    protocol: ProtocolName = "temporal",
    trials: Annotated[int | None, typer.Option(min=1, help="Stop when so many are done.")] = None,
    minutes: Annotated[float | None, typer.Option(min=0, help="Stop after so long.")] = None,
    storage: Annotated[
        Path | None, typer.Option(help="Where trials are kept, to go on from; default: beside --out.")
    ] = None,
    seed: int = SEED,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Search for settings on validation, apart from what `evaluate` tests on; the same command goes on."""
    from app.offline import tune as tuning  # noqa: PLC0415 - brings the recommender
    from recommender.evaluation.protocols import Protocol  # noqa: PLC0415

    with refusals(), console.progress("Tuning") as progress:
        try:
            result = tuning.tune(
                [
                    in_time(read_data(one, content or [], progress, reading_of(columns, dates)))
                    for one in data
                ],
                Protocol(protocol),
                out,
                storage=storage or out.with_suffix(".db"),
                trials=TRIALS if trials is None and minutes is None else trials,
                minutes=minutes,
                seed=seed,
                progress=progress,
            )
        except tuning.TuningError as error:
            raise SourceError(str(error)) from None
    if json:
        typer.echo(orjson.dumps(result, option=orjson.OPT_INDENT_2).decode())
    else:
        typer.echo(
            f"{out}: {result['gain']:.4f} times the NDCG@10 of the defaults after {result['trials']} trials"
        )


def train_on_files(
    data: Path,
    out: Path | None,
    content: list[Path],
    settings: Path | None,
    sentences: Path | None,
    reading: "Reading",
) -> dict[str, object]:
    """`marquee train --data`: the model's folder and what it was made of."""
    from app.offline import train  # noqa: PLC0415 - brings the recommender

    if out is None:
        raise typer.BadParameter("--data needs --out, the folder for the model")
    with refusals(), console.progress("Training") as progress:
        train.check_model_folder(out)
        config = Config.read(settings) if settings else Config()
        sentence_model = train.read_sentence_model(sentences)
        data_set = train.read_data(data, content, progress, reading)
        tell(data_set.report)
        model = train.train(data_set, out, config, progress, sentence_model)
    ratings = data_set.interactions
    return {
        "model": str(out),
        "users": ratings.n_users,
        "films": ratings.n_items,
        "ratings": ratings.nnz,
        "scale": data_set.scale,
        "metrics": model.manifest["metrics"],
    }


class JsonTo(TyperCommand):
    """A command whose `--json` may stand alone, which is `--json -`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        for place, argument in enumerate(args):
            if argument == "--json" and (place + 1 == len(args) or args[place + 1].startswith("--")):
                args.insert(place + 1, "-")
        return super().parse_args(ctx, args)


def reading_of(columns: str | None, dates: str | None) -> "Reading":
    """What `--columns` and `--dates` say."""
    from app.offline.rating_files import Reading  # noqa: PLC0415 - brings pyarrow
    from seeds.files.column_roles import ColumnNames  # noqa: PLC0415
    from seeds.files.rating_cells import DayOrder  # noqa: PLC0415

    try:
        names = ColumnNames() if columns is None else ColumnNames.parse(columns)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--columns") from None
    return Reading(columns=names, day_order=DayOrder(dates) if dates else None)


def read_data(
    data: Path, content: list[Path], progress: Progress, reading: "Reading"
) -> "tuple[Interactions, ItemFeatures]":
    from app.offline import train  # noqa: PLC0415 - brings the recommender

    data_set = train.read_data(data, content, progress, reading)
    tell(data_set.report)
    return data_set.interactions, data_set.movies


def in_time(ratings: "tuple[Interactions, ItemFeatures]") -> "tuple[Interactions, ItemFeatures]":
    """The same without the votes of today, which tell of what is held out."""
    return ratings[0], ratings[1].without_votes()


def evaluate(
    protocol: str,
    ratings: "tuple[Interactions, ItemFeatures]",
    name: str,
    settings: Path | None,
    *,
    peers: bool,
    diversities: list[float],
    max_users: int,
    json: str | None,
    plot: Path | None,
    progress: Progress,
) -> None:
    """`marquee evaluate` on ratings that have been read; `name` is what they are called."""
    from app.offline import evaluate as evaluation  # noqa: PLC0415 - brings the recommender
    from recommender.evaluation.protocols import Protocol  # noqa: PLC0415

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
            max_users=max_users,
            seed=SEED,
            progress=progress,
        )
    except ValueError as error:
        raise SourceError(str(error)) from None
    told = orjson.dumps(evaluation.as_dict(chosen, name, outcomes), option=orjson.OPT_INDENT_2)
    if file is not None:
        file.write_bytes(told)
    if plot is not None:
        evaluation.draw(chosen, name, outcomes, plot)
    if json == "-":
        typer.echo(told.decode())
    else:
        evaluation.print_tables(chosen, outcomes)


@contextmanager
def refusals() -> Iterator[None]:
    """Files that cannot be used, read or written end the command with one clear line."""
    try:
        yield
    except (SourceError, InvalidSettings, OSError, BadZipFile, zlib.error) as error:
        raise console.fail(str(error)) from None


def note(count: int, what: str) -> None:
    if count:
        console.console.print(f"{count} {what}", markup=False, soft_wrap=True)


def tell(report: Report) -> None:
    """What the content files could not say, on standard error."""
    for reason, rows in (*report.skipped.items(), *report.set_aside.items()):
        where = f"{rows.samples[0].file}, line {rows.samples[0].line}"
        console.console.print(f"{rows.count} rows not used: {reason} ({where})", markup=False, soft_wrap=True)
    tell_notes(report.notes)


def tell_notes(notes: list[str]) -> None:
    """Each note once, on standard error."""
    for text in dict.fromkeys(notes):
        console.console.print(text, markup=False, soft_wrap=True)
