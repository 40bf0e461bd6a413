"""Fixtures for HTTP and websocket clients of a real service."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.conftest import cloned
from tests.services import LONG_LIVED, running

PROTOCOL = Subprotocol("graphql-transport-ws")
PAGE = "{ movies(first: 10) { edges { node { title } } } }"
GRAPHQL = "application/graphql-response+json"
FRIEND = "https://movies.example"  # an allowed origin
GUARDED = {
    "ALLOWED_ORIGINS": f"{FRIEND}, https://other.example",
    "EXECUTION_SECONDS": "1",
    "REQUEST_SECONDS": "0.5",
    "REQUESTS_PER_MINUTE": "30",
    "OPERATIONS_PER_MINUTE": "12",
    "COST_PER_MINUTE": "3000",
    "MAX_CONNECTIONS_PER_ADDRESS": "20",
}


@dataclass(frozen=True, slots=True)
class Member:
    """A new signed-in account at one service."""

    url: str
    id: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def ask(self, query: str, **variables: Any) -> Any:
        body = {"query": query, "variables": variables}
        answer = httpx.post(self.url, json=body, headers=self.headers, timeout=30).json()
        assert "errors" not in answer, answer
        return answer["data"]

    def rate(self, movie_id: str, stars: float = 4.5) -> None:
        rate = "mutation ($id: ID!, $stars: Float!) { rateMovie(input: { movieId: $id, stars: $stars }) {"
        answer = self.ask(f"{rate} __typename }} }}", id=movie_id, stars=stars)
        assert answer == {"rateMovie": {"__typename": "RateMoviePayload"}}


class Socket:
    """A websocket that speaks the protocol."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    def send(self, kind: str, id: str | None = None, payload: Any = None) -> None:  # noqa: A002 - name of the protocol
        message = {"type": kind, "id": id, "payload": payload}
        self.connection.send(json.dumps({key: value for key, value in message.items() if value is not None}))

    def receive(self, timeout: float = 20) -> Any:
        return json.loads(self.connection.recv(timeout))


def post(client: httpx.Client, url: str, query: str = PAGE, **headers: str) -> httpx.Response:
    return client.post(url, json={"query": query}, headers=headers)


def error_in(answer: httpx.Response) -> dict[str, Any]:
    (error,) = answer.json()["errors"]
    found: dict[str, Any] = error["extensions"]
    return found


def sign_up(url: str, address: str = "127.0.0.1") -> Member:
    query = """mutation ($name: String!) { signUp(input: { username: $name, password: "a long walk home" }) {
        ... on AuthPayload { accessToken viewer { id } } } }"""
    body = {"query": query, "variables": {"name": f"member-{uuid4().hex[:12]}"}}
    answer = httpx.post(url, json=body, headers={"X-Forwarded-For": address}, timeout=30)
    payload = answer.json()["data"]["signUp"]
    return Member(url, payload["viewer"]["id"], payload["accessToken"])


def movie_ids(url: str) -> list[str]:
    body = httpx.post(url, json={"query": "{ movies(first: 20) { edges { node { id } } } }"}).json()
    return [edge["node"]["id"] for edge in body["data"]["movies"]["edges"]]


@contextmanager
def open_socket(url: str, payload: Any = None, **options: Any) -> Iterator[Socket]:
    """An acknowledged connection."""
    with connect(url.replace("http", "ws", 1), subprotocols=[PROTOCOL], **options) as connection:
        socket = Socket(connection)
        socket.send("connection_init", payload=payload)
        assert socket.receive() == {"type": "connection_ack"}
        yield socket


@pytest.fixture(scope="session")
def graphql(server: str) -> str:
    """The address of the shared service's API."""
    return f"{server}/graphql"


@pytest.fixture
def member(graphql: str) -> Member:
    return sign_up(graphql)


@pytest.fixture(scope="session")
def movies(graphql: str) -> list[str]:
    return movie_ids(graphql)


@dataclass(frozen=True, slots=True)
class Guarded:
    url: str
    database_url: str
    settings: dict[str, str]


@pytest.fixture(scope="session")
def guarded(
    request: pytest.FixtureRequest, postgres_url: str, seeded_template: str, model_dir: Path, run_folder: Path
) -> Iterator[Guarded]:
    settings = GUARDED | LONG_LIVED
    if shutil.which("redis-server"):
        settings["REDIS_URL"] = request.getfixturevalue("redis_url")
    with (
        cloned(postgres_url, seeded_template) as url,
        running(url, model_dir, run_folder, **settings) as service,
    ):
        yield Guarded(f"{service.url}/graphql", url, settings)


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    """A client with a new address."""
    digits = uuid4().int
    address = f"10.{digits % 250}.{digits // 250 % 250}.{digits // 62_500 % 250}"
    with httpx.Client(headers={"X-Forwarded-For": address, "Accept": GRAPHQL}, timeout=30) as client:
        yield client
