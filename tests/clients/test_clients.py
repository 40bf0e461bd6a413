"""Clients from npm in their usual setup, against a real service. Skipped without npm."""

import fcntl
import shutil
import subprocess
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

FOLDER = Path(__file__).parent
SDL = FOLDER.parent.parent / "schema" / "schema.graphql"


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


@pytest.fixture
def token(server: str) -> str:
    """The access token of a new member."""
    query = """mutation ($name: String!) { signUp(input: { username: $name, password: "a long walk home" }) {
        ... on AuthPayload { accessToken } } }"""
    variables = {"name": f"client-{uuid4().hex[:12]}"}
    body = httpx.post(f"{server}/graphql", json={"query": query, "variables": variables}).json()
    found: str = body["data"]["signUp"]["accessToken"]
    return found


def run(script: str, *arguments: str) -> str:
    done = subprocess.run(
        ["node", FOLDER / f"{script}.mjs", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.usefixtures("packages")
def test_passes_every_audit_of_graphql_over_http(server: str) -> None:
    assert int(run("audits", f"{server}/graphql")) == 61


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize("client", ["apollo", "urql", "graphql-ws"])
def test_serves_the_client(client: str, server: str, token: str) -> None:
    run(client, f"{server}/graphql", token)


@pytest.mark.usefixtures("packages")
def test_relay_compiles_against_the_sdl(tmp_path: Path) -> None:
    run("relay", str(SDL), str(tmp_path))
