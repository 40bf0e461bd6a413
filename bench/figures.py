"""Benchmark figures, and the JSON file that records them with commit, hardware and data."""

import json
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number. holds: whether it meets the target; None without a target."""

    key: str
    value: float
    unit: str = ""
    target: float | None = None
    at_most: bool = False  # the target is an upper bound

    @property
    def holds(self) -> bool | None:
        if self.target is None:
            return None
        return self.value <= self.target if self.at_most else self.value >= self.target


def commit() -> str:
    """The commit of the checkout, with a + for uncommitted changes; "unknown" outside of a git checkout."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"],  # noqa: S607
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return described.stdout.strip()


def commit_subject() -> str:
    """The subject of the commit, with a + for uncommitted changes; "unknown" outside of a git checkout."""
    try:
        subject, changes = (
            subprocess.run(  # noqa: S603
                ["git", *command],  # noqa: S607
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=True,
            ).stdout.strip()
            for command in (
                ("log", "-1", "--format=%s"),
                ("status", "--porcelain", "--untracked-files=no", "--", ":!docs"),
            )
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return subject + ("+" if changes else "")


def hardware() -> str:
    """Processor, cores and memory."""
    gigabytes = psutil.virtual_memory().total / 2**30
    return (
        f"{_processor()}, {psutil.cpu_count()} cores, {gigabytes:.0f} GB, Python {platform.python_version()}"
    )


def write(path: Path, data: str, figures: Iterable[Figure]) -> None:
    """Write the figures as JSON, with commit, hardware and the name of the data."""
    rows = [
        {name: value for name, value in asdict(figure).items() if name != "at_most"} | {"holds": figure.holds}
        for figure in figures
    ]
    content = {"commit": commit(), "hardware": hardware(), "data": data, "figures": rows}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
