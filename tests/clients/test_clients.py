"""Clients from npm in their usual setup, against a real service. Skipped without npm."""

import subprocess
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

FOLDER = Path(__file__).parent
SDL = FOLDER.parent.parent / "schema" / "schema.graphql"


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
        timeout=200,
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
