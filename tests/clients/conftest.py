"""Packages of npm, installed once for all tests of this folder."""

import fcntl
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


@pytest.fixture(scope="session")
def packages(run_folder: Path) -> None:
    """Run `npm ci` in one worker, unless the installed packages match the lock file."""
    if shutil.which("node") is None or (npm := shutil.which("npm")) is None:
        pytest.skip("no npm here: apt-get install nodejs npm")
    wanted = (FOLDER / "package-lock.json").read_bytes()
    installed = FOLDER / "node_modules" / "installed-lock.json"
    with (run_folder / "clients.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not installed.exists() or installed.read_bytes() != wanted:
            command = [npm, "ci", "--silent", "--no-audit", "--no-fund"]
            if subprocess.run(command, cwd=FOLDER, check=False).returncode != 0:
                pytest.skip("npm could not fetch the clients")
            installed.write_bytes(wanted)
