"""GraphQL Code Generator and Relay with the configurations in `examples/`. Skipped without npm."""

import fcntl
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

FOLDER = ROOT / "examples"


@pytest.fixture(scope="session")
def npm(run_folder: Path) -> str:
    """Run `npm ci` in one worker, unless the installed packages match the lock file."""
    if shutil.which("node") is None or (npm := shutil.which("npm")) is None:
        pytest.skip("no npm here: apt-get install nodejs npm")
    wanted = (FOLDER / "package-lock.json").read_bytes()
    installed = FOLDER / "node_modules" / "installed-lock.json"
    with (run_folder / "examples.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not installed.exists() or installed.read_bytes() != wanted:
            command = [npm, "ci", "--silent", "--no-audit", "--no-fund"]
            if subprocess.run(command, cwd=FOLDER, check=False).returncode != 0:
                pytest.skip("npm could not fetch the packages of the examples")
            installed.write_bytes(wanted)
    return npm


def run(npm: str, script: str) -> None:
    done = subprocess.run(
        [npm, "run", "--silent", script],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_types_of_the_screens_are_generated_and_fit_the_client(npm: str) -> None:
    run(npm, "codegen")
    made = (FOLDER / "generated" / "graphql.ts").read_text()
    for name in (
        "HomeScreenQuery",
        "MovieScreenQuery",
        "GroupNightScreenQueryVariables",
        "MovieCardFragment",
    ):
        assert f"export type {name} =" in made
    run(npm, "check")


def test_relay_compiles_the_movie_page(npm: str) -> None:
    run(npm, "relay")
    made = {path.name for path in (FOLDER / "relay" / "__generated__").glob("*.js")}
    assert made >= {"MoviePageQuery.graphql.js", "MoviePageSimilarQuery.graphql.js"}
