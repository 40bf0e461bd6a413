"""Progress bars: the time of the whole command, also after a stage that reached its end."""

import io
import time
from datetime import timedelta

import psutil
import pytest
from rich.console import Console
from rich.progress import Progress

from app import console


def seconds(shown: str) -> float:
    hours, minutes, rest = (int(part) for part in shown.split(":"))
    return timedelta(hours=hours, minutes=minutes, seconds=rest).total_seconds()


def test_a_bar_shows_the_time_since_the_command_began(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(console, "console", Console(file=written, force_terminal=True, width=80))
    began = psutil.Process().create_time()
    with console.progress("Training") as progress:
        progress("reading", 1.0)  # rich's own column would stop here
        monkeypatch.setattr(time, "time", lambda: began + 3_700)
        progress("fitting", 0.2)
    assert "1:01:40" in written.getvalue()
    assert "done" in written.getvalue()


def test_the_time_is_that_of_the_process() -> None:
    column = console.CommandTime()
    with Progress() as bar:
        task = bar.add_task("x")
        shown = column.render(bar.tasks[task]).plain
    assert abs(seconds(shown) - (time.time() - psutil.Process().create_time())) < 5
