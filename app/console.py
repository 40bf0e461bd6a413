"""Console output of commands: progress on a terminal, errors in one line, and the log."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich import progress as bars
from rich.console import Console

from recommender.progress import Progress

console = Console(stderr=True, highlight=False)


@contextmanager
def progress(title: str) -> Iterator[Progress]:
    """Show a progress bar with the title and stage; nothing without a terminal."""
    columns = (
        bars.SpinnerColumn(),
        bars.TextColumn("[bold]{task.description}"),
        bars.BarColumn(bar_width=24),
        bars.TextColumn("{task.fields[stage]}"),
        bars.TimeElapsedColumn(),
    )
    with bars.Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=1.0, stage="")
        yield lambda stage, fraction: bar.update(task, stage=stage, completed=fraction)
        bar.update(task, completed=1.0, stage="done")


def announce(title: str) -> None:
    """Print the title of a step if there is no terminal to show its progress."""
    if not console.is_terminal:
        console.print(title)


def start_log(level: str) -> None:
    """Log our own messages from `level`, and those of libraries from WARNING."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("marquee").setLevel(level.upper())


def fail(message: str) -> typer.Exit:
    """Print an error message and return the exception to raise.

    Control characters, which may come from a quoted file, are replaced.
    """
    plain = "".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in message)
    console.print(plain, style="red", markup=False, soft_wrap=True)
    return typer.Exit(1)
