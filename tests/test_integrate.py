"""The examples of docs/integrate.md, run as they are written."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from strawberry import relay
from typer.testing import CliRunner

from app.cli.operator import create_key
from tests.conftest import ROOT
from tests.schema.http.conftest import sign_up
from tests.services import StartServer

PAGE = (ROOT / "docs" / "integrate.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
VARIABLES, TABLES, ACT, BATCH, OIDC, VISITOR, CODE = BLOCKS

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def run(block: str, folder: Path, **variables: str) -> Any:
    """The JSON that the last command of a block prints."""
    environment = {**os.environ, **variables}
    done = subprocess.run(
        ["bash", "-eu", "-c", block], env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert "errors" not in answer, answer
    return answer["data"]


@pytest.fixture
def key(server_database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A key of the command `create-key`."""
    monkeypatch.setenv("DATABASE_URL", server_database_url)
    monkeypatch.setenv("SECRET_KEY", "a secret of the tests, long enough")
    made = CliRunner().invoke(create_key.app, ["our backend", "--source", "tv"])
    assert made.exit_code == 0, made.output
    return made.stdout.strip()


def test_the_variables_are_those_of_the_examples() -> None:
    assert set(re.findall(r"^(\w+)=", VARIABLES, re.MULTILINE)) == {"URL", "KEY", "TOKEN"}
    assert len([line for line in TABLES.splitlines() if not line.startswith(" ")]) == 6


def test_each_way_for_members_works(server: str, server_database_url: str, key: str, tmp_path: Path) -> None:
    with psycopg.connect(server_database_url) as connection:
        (movie_id,) = connection.execute("SELECT min(id) FROM movies").fetchone() or (0,)
    token = sign_up(f"{server}/graphql").token
    variables = {"URL": server, "KEY": key, "TOKEN": token, "MOVIE": relay.to_base64("Movie", movie_id)}
    assert run(ACT, tmp_path, **variables) == {"rateMovie": {"__typename": "RateMoviePayload"}}
    assert run(BATCH, tmp_path, **variables)["upsertRatings"] == {
        "stored": 1,  # the one of u-7 is older than the one above
        "refusedCount": 0,
        "refused": [],
    }
    # The same request as with a token of a provider: tests/clients/test_oidc.py has one.
    assert run(OIDC, tmp_path, **variables)["recommendations"]["strategy"] == "POPULAR"
    assert run(VISITOR, tmp_path, **variables)["mergeMember"] == {"alreadyMerged": False, "choices": 1}
    assert run(CODE, tmp_path, **variables)["mergeMember"] == {"ratings": 1, "events": 0}


def test_from_tables_to_a_list(
    empty_database_url: str, start_server: StartServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands in their order, on tables of a layout of their own."""
    genres = ("Drama", "Comedy", "Horror")
    movies = [f"m{n},Movie {n},{1990 + n % 30},{genres[n % 3]}" for n in range(60)]
    ratings = [
        f"u-{u},m{n},{5 if n % 3 == u % 3 else 2}" for u in range(60) for n in range(60) if (u + n) % 4
    ]
    (tmp_path / "movies.csv").write_text("\n".join(["sku,name,year,category", *movies]))
    (tmp_path / "ratings.csv").write_text("\n".join(["user,movie,rating", *ratings]))
    folder = tmp_path / ".venv" / "bin"
    folder.mkdir(parents=True)
    program = Path(sys.executable).parent / "marquee"
    (folder / "marquee").symlink_to(program)
    monkeypatch.setenv("DATABASE_URL", empty_database_url)
    monkeypatch.setenv("SECRET_KEY", "a secret of the tests, long enough")
    monkeypatch.setenv("MODEL_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("PORT", "0")
    before, serve, curl = re.split(r"^(.* serve --prepare) &$", TABLES, flags=re.MULTILINE)
    key = subprocess.run(
        ["bash", "-eu", "-c", f"{before}\necho $KEY"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()[-1]
    assert serve.endswith("serve --prepare")
    subprocess.run([program, "train"], cwd=tmp_path, check=True)
    service = start_server(empty_database_url, MODEL_DIR=str(tmp_path / "models"))
    found = run(curl, tmp_path, URL=service.url, KEY=key)["recommendations"]
    assert found["strategy"] == "PERSONALIZED"
    assert len(found["edges"]) == 10
