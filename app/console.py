"""Console output of commands: progress on a terminal, errors in one line, and the log."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import psutil
import typer
from rich import progress as bars
from rich.console import Console
from rich.text import Text

from app.telemetry import logs
from recommender.progress import Progress

console = Console(stderr=True, highlight=False)
log = logging.getLogger("marquee")


class CommandTime(bars.ProgressColumn):
    """The time since the command began, with its imports. Rich's column stops where a first stage ends."""

    def __init__(self) -> None:
        super().__init__()
        self.began = psutil.Process().create_time()

    def render(self, task: bars.Task) -> Text:  # noqa: ARG002 - rich's signature
        return Text(
            str(timedelta(seconds=round(max(0.0, time.time() - self.began)))), style="progress.elapsed"
        )


@contextmanager
def progress(title: str) -> Iterator[Progress]:
    """Show a progress bar with the title and stage; nothing without a terminal."""
    columns = (
        bars.SpinnerColumn(),
        bars.TextColumn("[bold]{task.description}"),
        bars.BarColumn(bar_width=24),
        bars.TextColumn("{task.fields[stage]}"),
        CommandTime(),
    )
    with bars.Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=1.0, stage="")
        yield lambda stage, fraction: bar.update(task, stage=stage, completed=fraction)
        bar.update(task, completed=1.0, stage="done")


def announce(title: str) -> None:
    """Print the title of a step if there is no terminal to show its progress."""
    if not console.is_terminal:
        notice(title)


def start_log(level: str, log_format: str = "text") -> None:
    """Log our own messages from `level`, and those of libraries from WARNING."""
    logs.start(log_format)
    log.setLevel(level.upper())


def is_json() -> bool:
    """Whether each line on standard error is a JSON object."""
    return any(isinstance(handler.formatter, logs.JsonFormatter) for handler in logging.root.handlers)


def notice(message: str) -> None:
    """Print a line about the service, with the markup of rich."""
    if is_json():
        log.info("%s", Text.from_markup(message).plain)
    else:
        console.print(message)


def fail(message: str) -> typer.Exit:
    """Print an error message and return the exception to raise.

    Control characters, which may come from a quoted file, are replaced.
    """
    plain = "".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in message)
    if is_json():
        log.error("%s", plain)
    else:
        console.print(plain, style="red", markup=False, soft_wrap=True)
    return typer.Exit(1)
