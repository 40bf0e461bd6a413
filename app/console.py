"""What a command shows: progress on a terminal, failures as one clear line, and the log."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich import progress as bars
from rich.console import Console

Progress = Callable[[str, float], None]  # a stage, and the fraction of it that is done

console = Console(stderr=True, highlight=False)


@contextmanager
def progress(title: str) -> Iterator[Progress]:
    """A line that tells `title`, the stage and how much of the stage is done; nothing without a terminal."""
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
    """The line for a log that the progress would be on a terminal."""
    if not console.is_terminal:
        console.print(title)


def start_log(level: str) -> None:
    """Our own log at `level`; of the libraries only what is wrong."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("marquee").setLevel(level.upper())


def fail(message: str) -> typer.Exit:
    """The error to raise after its message, which may quote a file: without control characters."""
    plain = "".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in message)
    console.print(plain, style="red", markup=False, soft_wrap=True)
    return typer.Exit(1)
