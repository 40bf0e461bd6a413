"""Packages of npm for tests, installed once for all workers of a run."""

import fcntl
import shutil
import subprocess
from pathlib import Path

import pytest


def install(folder: Path, run_folder: Path) -> str:
    """Run `npm ci` in one worker, unless the installed packages match the lock file. Returns npm.

    Skips the test without npm, or if it cannot fetch the packages.
    """
    if shutil.which("node") is None or (npm := shutil.which("npm")) is None:
        pytest.skip("no npm here: apt-get install nodejs npm")
    wanted = (folder / "package-lock.json").read_bytes()
    installed = folder / "node_modules" / "installed-lock.json"
    with (run_folder / f"npm-{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not installed.exists() or installed.read_bytes() != wanted:
            command = [npm, "ci", "--silent", "--no-audit", "--no-fund"]
            if subprocess.run(command, cwd=folder, check=False).returncode != 0:
                pytest.skip(f"npm could not fetch the packages of {folder.name}")
            installed.write_bytes(wanted)
    return npm
