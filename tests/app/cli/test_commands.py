import subprocess
import sys

import pytest
from typer.testing import CliRunner

from app.cli.commands import COMMANDS, app, load
from tests.conftest import ROOT
from tests.services import FORKING, must_not_have_loaded

HEAVY = {
    "alembic",
    "faiss",
    "numba",
    "numpy",
    "psycopg",
    "pyarrow",
    "pydantic",
    "rich",
    "sqlalchemy",
    "strawberry",
}
LIST = f"""
import sys
from app.cli.commands import app
try:
    app(["--help"])
except SystemExit:
    pass
print(sorted({HEAVY!r} & set(sys.modules)))
"""


def test_the_list_of_commands_loads_none_of_them() -> None:
    ended = subprocess.run([sys.executable, "-c", LIST], check=True, capture_output=True, text=True, cwd=ROOT)
    assert all(name in ended.stdout for name in COMMANDS)
    assert ended.stdout.splitlines()[-1] == "[]"


def test_the_service_loads_no_slow_library_that_it_does_not_use() -> None:
    slow = {"numba", "pandas", "pyarrow", "scipy.stats", "sklearn", "torch"}
    process = FORKING.Process(target=must_not_have_loaded, args=(slow,))
    process.start()
    process.join()
    assert process.exitcode == 0


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_has_the_first_line_of_each_command(name: str) -> None:
    module, summary = COMMANDS[name]
    paragraph = (load(module, name).help or "").split("\n\n")[0]
    assert " ".join(paragraph.split()) == summary
    shown = CliRunner().invoke(app, [name, "--help"])
    assert shown.exit_code == 0
    assert f"Usage: root {name}" in " ".join(shown.stdout.split())


def test_an_unknown_command_is_refused() -> None:
    ended = CliRunner().invoke(app, ["sevre"])
    assert ended.exit_code == 2
    assert "sevre" in ended.output
