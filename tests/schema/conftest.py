"""Fixtures that send the operations of clients to a real service over HTTP."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import httpx
import psycopg
import pytest
from graphql import parse, print_ast
from graphql.utilities import separate_operations

OPERATIONS = Path(__file__).parent.parent / "operations"


class Ask(Protocol):
    def __call__(self, operation: str, token: str | None = None, **variables: Any) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Member:
    id: str
    username: str
    password: str
    token: str
    refresh_token: str


@pytest.fixture(scope="session")
def operations() -> dict[str, str]:
    """The text of each operation in `tests/operations`, with its fragments, by name."""
    documents = [parse(path.read_text()) for path in sorted(OPERATIONS.glob("*.graphql"))]
    return {
        name: print_ast(operation)
        for document in documents
        for name, operation in separate_operations(document).items()
    }


@pytest.fixture(scope="session")
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=30) as client:
        yield client


@pytest.fixture(scope="session")
def ask(server: str, http: httpx.Client, operations: dict[str, str]) -> Ask:
    """Send an operation, by name or as text, to the shared service, and return the body of the response."""
    return asking(server, http, operations)


def asking(url: str, http: httpx.Client, operations: dict[str, str], **always: str) -> Ask:
    """A function that sends operations to this service. `always`: headers of each request, with _ for -."""

    def ask(operation: str, token: str | None = None, **variables: Any) -> dict[str, Any]:
        headers = {name.replace("_", "-"): value for name, value in always.items()}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        query = {"query": operations.get(operation, operation), "variables": variables}
        response = http.post(f"{url}/graphql", json=query, headers=headers)
        body: dict[str, Any] = response.json()
        body.pop("extensions", None)  # the cost; its tests send their own requests
        return body

    return ask


@pytest.fixture
def member(ask: Ask) -> Member:
    """A new account, signed in."""
    return sign_up(ask)


@pytest.fixture
def operator(ask: Ask, server_database_url: str) -> Member:
    """A new administrator, signed in."""
    return promoted(sign_up(ask), server_database_url, "ADMIN")


def promoted(member: Member, database_url: str, role: str) -> Member:
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE users SET role = %s WHERE username = %s", (role, member.username))
    return member


def outcome(body: dict[str, Any], field: str) -> dict[str, Any]:
    """The outcome of a mutation without other errors."""
    assert "errors" not in body, body["errors"]
    found: dict[str, Any] = body["data"][field]
    return found


def sign_up(ask: Ask) -> Member:
    username, password = f"member-{uuid4().hex[:12]}", "a long walk home"
    payload = ask("SignUp", username=username, password=password)["data"]["signUp"]
    viewer = payload["viewer"]
    return Member(viewer["id"], username, password, payload["accessToken"], payload["refreshToken"])


def code(body: dict[str, Any]) -> str:
    """The code of the only error in a response."""
    (error,) = body["errors"]
    found: str = error["extensions"]["code"]
    return found
