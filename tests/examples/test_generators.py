"""GraphQL Code Generator and Relay with the configurations in `examples/`. Skipped without npm."""

import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.npm import install

pytestmark = pytest.mark.long

FOLDER = ROOT / "examples"


@pytest.fixture(scope="session")
def npm(run_folder: Path) -> str:
    return install(FOLDER, run_folder)


def run(npm: str, script: str) -> None:
    done = subprocess.run(
        [npm, "run", "--silent", script],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        timeout=280,
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
