"""The version of the code: of the package and, in a checkout, of the commit."""

import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).parents[2]
GIT_SECONDS = 5.0


@cache
def code_version() -> str:
    """Such as `0.1.0` or, in a checkout, `0.1.0 85f2ee4a01bc`, with a + for uncommitted changes."""
    try:
        package = version("marquee")
    except PackageNotFoundError:
        package = "unknown"
    commit = _commit()
    return package if commit is None else f"{package} {commit}"


def _commit() -> str | None:
    if not (ROOT / ".git").exists():  # a file in a linked worktree
        return None
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"],  # noqa: S607
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            timeout=GIT_SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip() or None
