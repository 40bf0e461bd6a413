"""Asking a real service in every way that HTTP and websockets have."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

PROTOCOL = Subprotocol("graphql-transport-ws")


@dataclass(frozen=True, slots=True)
class Member:
    """A new account, signed in, at one service."""

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

    def send(self, kind: str, id: str | None = None, payload: Any = None) -> None:  # noqa: A002 - the protocol's
        message = {"type": kind, "id": id, "payload": payload}
        self.connection.send(json.dumps({key: value for key, value in message.items() if value is not None}))

    def receive(self, timeout: float = 20) -> Any:
        return json.loads(self.connection.recv(timeout))


def sign_up(url: str, address: str = "127.0.0.1") -> Member:
    query = """mutation ($name: String!) { signUp(input: { username: $name, password: "a long walk home" }) {
        ... on AuthPayload { accessToken viewer { id } } } }"""
    body = {"query": query, "variables": {"name": f"member-{uuid4().hex[:12]}"}}
    answer = httpx.post(url, json=body, headers={"X-Forwarded-For": address}, timeout=30)
    payload = answer.json()["data"]["signUp"]
    return Member(url, payload["viewer"]["id"], payload["accessToken"])


def film_ids(url: str) -> list[str]:
    body = httpx.post(url, json={"query": "{ movies(first: 20) { edges { node { id } } } }"}).json()
    return [edge["node"]["id"] for edge in body["data"]["movies"]["edges"]]


@contextmanager
def open_socket(url: str, payload: Any = None, **options: Any) -> Iterator[Socket]:
    """A connection that was acknowledged."""
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
def films(graphql: str) -> list[str]:
    return film_ids(graphql)
