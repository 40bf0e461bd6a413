"""Read ratings for commands on files, and turn errors of files into one-line messages."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import BadZipFile

from app import console
from app.cli.options import names_of
from app.cli.row_report import unused_rows
from app.offline import training
from app.offline.rating_files import Reading
from recommender.interactions import Interactions
from recommender.item_features import ItemFeatures
from recommender.progress import Progress
from recommender.training.config import InvalidSettings
from seeds.files.rating_cells import DayOrder
from seeds.files.report import Report, SourceError


def reading_of(columns: str | None, dates: str | None) -> "Reading":
    """Parse `--columns` and `--dates`. Raises typer.BadParameter."""
    return Reading(columns=names_of(columns), day_order=DayOrder(dates) if dates else None)


def read_data(
    data: Path, content: list[Path], progress: Progress, reading: "Reading"
) -> "tuple[Interactions, ItemFeatures]":
    """Read a data set, and print what was not used."""
    data_set = training.read_data(data, content, progress, reading)
    print_report(data_set.report)
    return data_set.interactions, data_set.movies


def in_time(ratings: "tuple[Interactions, ItemFeatures]") -> "tuple[Interactions, ItemFeatures]":
    """Remove the current vote counts, which leak information from the test period."""
    return ratings[0], ratings[1].without_votes()


@contextmanager
def refusals() -> Iterator[None]:
    """End the command with one line if a file cannot be read or written, or its content is invalid."""
    try:
        yield
    except (SourceError, InvalidSettings, OSError, BadZipFile, zlib.error) as error:
        raise console.fail(str(error)) from None


def note(count: int, text: str) -> None:
    """Print a count and its text on standard error; nothing for 0."""
    if count:
        console.console.print(f"{count} {text}", markup=False, soft_wrap=True)


def print_report(report: Report) -> None:
    """Print which rows of movie files were not used, on standard error."""
    for line in unused_rows(report, verbose=False, width=console.console.width):
        console.console.print(line, markup=False, soft_wrap=True)
    print_notes(report.notes)


def print_notes(notes: list[str]) -> None:
    """Print each note once, on standard error."""
    for text in dict.fromkeys(notes):
        console.console.print(text, markup=False, soft_wrap=True)
