"""Protections of every client, on a service with low limits."""

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from app.web.security import HEADERS
from tests.schema.http.conftest import (
    FRIEND,
    GRAPHQL,
    PROTOCOL,
    Guarded,
    error_in,
    open_socket,
    post,
    sign_up,
)
from tests.services import StartServer

STRANGER = "https://strangers.example"
RATINGS = {"query": "{ viewer { ratings(first: 5) { edges { cursor } } } }"}


def test_an_operation_and_its_statement_end_after_the_time_limit(guarded: Guarded) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = %s"
    member = sign_up(guarded.url, "192.0.2.1")
    with psycopg.connect(guarded.database_url) as holder, psycopg.connect(guarded.database_url) as looking:
        looking.autocommit = True

        def n_waiting() -> Any:
            return (looking.execute(waiting, (looking.info.dbname,)).fetchone() or ())[0]

        holder.execute("LOCK TABLE ratings IN ACCESS EXCLUSIVE MODE")
        with open_socket(guarded.url, {"Authorization": f"Bearer {member.token}"}) as opened:
            opened.send("subscribe", "1", RATINGS)
            until(lambda: n_waiting() == 1)
            error = opened.receive()["payload"]["errors"][0]["extensions"]
            assert error == {"code": "TIMEOUT", "setting": "EXECUTION_SECONDS"}
            until(lambda: n_waiting() == 0)
        answer = httpx.post(
            guarded.url, json=RATINGS, headers={**member.headers, "Accept": GRAPHQL}, timeout=30
        )
        assert answer.status_code == 504
        assert error_in(answer) == error


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_every_response_has_security_headers(guarded: Guarded, client: httpx.Client) -> None:
    root = guarded.url.removesuffix("/graphql")
    answers = [
        post(client, guarded.url),
        post(client, guarded.url, "{"),
        post(client, guarded.url, Origin=STRANGER),
        client.get(guarded.url, headers={"Accept": "text/html"}),
        client.get(f"{root}/healthz"),
        client.get(f"{root}/nowhere"),
    ]
    assert [answer.status_code for answer in answers] == [200, 400, 403, 200, 200, 404]
    for answer in answers:
        assert {name.lower() for name in HEADERS} <= answer.headers.keys()
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "Strict-Transport-Security" not in answer.headers
        assert "Server" not in answer.headers
        assert "Set-Cookie" not in answer.headers
    secure = post(client, guarded.url, **{"X-Forwarded-Proto": "https"})
    assert "max-age" in secure.headers["Strict-Transport-Security"]


def test_only_pages_of_allowed_origins_may_send_requests(guarded: Guarded, client: httpx.Client) -> None:
    own = f"http://{urlsplit(guarded.url).netloc}"
    for origin, status, allowed in (
        (FRIEND, 200, FRIEND),
        (own, 200, None),
        (STRANGER, 403, None),
        ("null", 403, None),
    ):
        answer = post(client, guarded.url, Origin=origin)
        assert (answer.status_code, answer.headers.get("Access-Control-Allow-Origin")) == (status, allowed)
        if status == 403:
            assert error_in(answer) == {"code": "FORBIDDEN"}
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST",
                 "Access-Control-Request-Headers": "content-type, authorization"}  # fmt: skip
        preflight = client.options(guarded.url, headers=asked)
        assert (preflight.status_code == 200) == (origin == FRIEND)
        assert "Access-Control-Allow-Credentials" not in preflight.headers


def test_forms_of_other_origins_are_refused(guarded: Guarded, client: httpx.Client) -> None:
    """Requests without a CORS preflight: no JSON by POST, and no mutation by GET."""
    mutation = "mutation { logOut { __typename } }"
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        content = f'{{"query": "{mutation}"}}'
        assert client.post(guarded.url, content=content, headers={"Content-Type": kind}).status_code == 415
    assert client.get(guarded.url, params={"query": mutation}).status_code == 405


@pytest.mark.parametrize("origin", [FRIEND, STRANGER, "null", None])
def test_websockets_have_the_same_allowed_origins(guarded: Guarded, origin: str | None) -> None:
    options: dict[str, Any] = {"subprotocols": [PROTOCOL], "origin": origin and Origin(origin)}
    if origin in (FRIEND, None):
        with connect(guarded.url.replace("http", "ws", 1), **options) as connection:
            assert connection.subprotocol == PROTOCOL
        return
    with pytest.raises(InvalidStatus) as refused:
        connect(guarded.url.replace("http", "ws", 1), **options)
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("sent", [b"", b"POST /graphql HTTP/1.1\r\nHost: a\r\n"])
def test_a_connection_without_a_request_is_closed(guarded: Guarded, sent: bytes) -> None:
    with slow(guarded.url) as connection:
        connection.sendall(sent)
        assert connection.recv(1_000) == b""


def test_a_body_that_does_not_arrive_is_refused(guarded: Guarded) -> None:
    with slow(guarded.url) as connection:
        head = b"POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        connection.sendall(head + b"Content-Length: 100\r\n\r\n{")
        answer = connection.recv(4_000)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'"TIMEOUT"' in answer + connection.recv(4_000)


def slow(url: str) -> socket.socket:
    address = urlsplit(url)
    return socket.create_connection((address.hostname, address.port), timeout=20)


def test_websockets_of_an_address_are_limited(guarded: Guarded) -> None:
    headers = {"X-Forwarded-For": "192.0.2.9"}
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(open_socket(guarded.url, additional_headers=headers))
        with pytest.raises(InvalidStatus) as refused:
            stack.enter_context(open_socket(guarded.url, additional_headers=headers))
        assert refused.value.response.status_code == 403
        stack.enter_context(open_socket(guarded.url, additional_headers={"X-Forwarded-For": "192.0.2.10"}))


def test_production_mode_without_a_proxy(start_server: StartServer, seeded_database_url: str) -> None:
    settings = {
        "PRODUCTION": "true",
        "TRUSTED_PROXIES": "192.0.2.1",
        "ALLOWED_HOSTS": "127.0.0.1, movies.example",
    }
    service = start_server(
        seeded_database_url, **settings, MAX_CONNECTIONS_PER_ADDRESS="3", REQUESTS_PER_MINUTE="10"
    )
    url = f"{service.url}/graphql"
    with httpx.Client(headers={"Accept": GRAPHQL}) as client:
        refusal = post(client, url, "{ __schema { queryType { name } } }")
        assert "introspection" in refusal.json()["errors"][0]["message"]
        (error,) = post(client, url, "{ genre { name } }").json()["errors"]
        assert "genres" not in error["message"]
        assert post(client, url, Host="strangers.example").status_code == 400
        assert post(client, url, Host="movies.example").status_code == 200
        for number in range(7):  # a client cannot set its own address
            assert post(client, url, **{"X-Forwarded-For": f"192.0.2.{number}"}).status_code == 200
        assert error_in(post(client, url, **{"X-Forwarded-For": "192.0.2.99"}))["code"] == "RATE_LIMITED"
        with slow(url), slow(url), slow(url) as fourth:  # and the client's own connection
            assert fourth.recv(1_000).startswith(b"HTTP/1.1 429 ")
        deadline = time.monotonic() + 60
        while not (answer := healthz(url)).startswith(
            b"HTTP/1.1 200 "
        ):  # once the service has noticed their end
            assert answer.startswith(b"HTTP/1.1 429 "), answer
            assert time.monotonic() < deadline


def healthz(url: str) -> bytes:
    with slow(url) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: movies.example\r\n\r\n")
        return client.recv(1_000)
