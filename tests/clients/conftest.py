"""Packages of npm, installed once for all tests of this folder."""

from pathlib import Path

import pytest

from tests import npm

FOLDER = Path(__file__).parent


@pytest.fixture(scope="session")
def packages(run_folder: Path) -> None:
    npm.install(FOLDER, run_folder)
