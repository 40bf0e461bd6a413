"""What holds for every client, told by a service with limits that a test can reach."""

import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import psycopg
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from app.browsers import HEADERS
from tests.conftest import StartServer, cloned, running
from tests.endpoint.conftest import PROTOCOL, open_socket, sign_up

FRIEND, STRANGER = "https://films.example", "https://strangers.example"
GRAPHQL = "application/graphql-response+json"
PAGE = "{ movies(first: 10) { edges { node { title } } } }"
RATINGS = {"query": "{ viewer { ratings(first: 5) { edges { cursor } } } }"}
SETTINGS = {
    "ALLOWED_ORIGINS": f"{FRIEND}, https://other.example",
    "EXECUTION_SECONDS": "1",
    "REQUEST_SECONDS": "0.5",
    "REQUESTS_PER_MINUTE": "30",
    "OPERATIONS_PER_MINUTE": "12",
    "COST_PER_MINUTE": "3000",
    "MAX_CONNECTIONS_PER_ADDRESS": "20",
}


@dataclass(frozen=True, slots=True)
class Guarded:
    url: str
    database_url: str
    settings: dict[str, str]


@pytest.fixture(scope="module")
def guarded(
    request: pytest.FixtureRequest, postgres_url: str, seeded_template: str, model_dir: Path, run_folder: Path
) -> Iterator[Guarded]:
    settings = dict(SETTINGS)
    if shutil.which("redis-server"):
        settings["REDIS_URL"] = request.getfixturevalue("redis_url")
    with (
        cloned(postgres_url, seeded_template) as url,
        running(url, model_dir, run_folder, **settings) as service,
    ):
        yield Guarded(f"{service.url}/graphql", url, settings)


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    """At an address from which nobody has asked."""
    digits = uuid4().int
    address = f"10.{digits % 250}.{digits // 250 % 250}.{digits // 62_500 % 250}"
    with httpx.Client(headers={"X-Forwarded-For": address, "Accept": GRAPHQL}, timeout=30) as client:
        yield client


def ask(client: httpx.Client, url: str, query: str = PAGE, **headers: str) -> httpx.Response:
    return client.post(url, json={"query": query}, headers=headers)


def error_in(answer: httpx.Response) -> dict[str, Any]:
    (error,) = answer.json()["errors"]
    found: dict[str, Any] = error["extensions"]
    return found


def test_an_answer_tells_what_was_asked_and_what_it_cost(guarded: Guarded, client: httpx.Client) -> None:
    told = ask(client, guarded.url).json()["extensions"]["cost"]
    assert told == {"requested": 40, "actual": 40}
    asked = ask(client, guarded.url, '{ movie(id: "TW92aWU6OTk5OTk5OTk=") { title } }').json()["extensions"][
        "cost"
    ]
    assert asked["actual"] <= asked["requested"]


def test_an_operation_ends_after_its_time_and_so_does_its_statement(guarded: Guarded) -> None:
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
            told = opened.receive()["payload"]["errors"][0]["extensions"]
            assert told == {"code": "TIMEOUT", "setting": "EXECUTION_SECONDS"}
            until(lambda: n_waiting() == 0)
        answer = httpx.post(
            guarded.url, json=RATINGS, headers={**member.headers, "Accept": GRAPHQL}, timeout=30
        )
        assert answer.status_code == 504
        assert error_in(answer) == told


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def refused_at(client: httpx.Client, url: str, query: str, most: int, **headers: str) -> dict[str, Any]:
    """The error of the first request that comes too often, which is not the first of all."""
    for number in range(most):
        answer = ask(client, url, query, **headers)
        if answer.status_code != 200:
            assert number
            assert answer.status_code == 429, answer.text
            error = error_in(answer)
            assert error["code"] == "RATE_LIMITED"
            assert int(answer.headers["Retry-After"]) == error["retryAfter"] > 0
            return error
    pytest.fail(f"{most} requests were answered")


def test_requests_of_an_address_are_limited(guarded: Guarded, client: httpx.Client) -> None:
    for _ in range(30):
        assert client.post(guarded.url, content=b"{").status_code == 415
    answer = client.post(guarded.url, content=b"{")
    assert answer.status_code == 429
    told = {"code": "RATE_LIMITED", "setting": "REQUESTS_PER_MINUTE", "limit": 30, "asked": 1}
    assert told.items() <= error_in(answer).items()
    assert answer.headers["Retry-After"] == "2"
    with httpx.Client(headers={"X-Forwarded-For": "192.0.2.77"}) as other:
        assert ask(other, guarded.url).status_code == 200


def test_operations_of_a_member_are_limited_wherever_they_are(guarded: Guarded) -> None:
    member, other = sign_up(guarded.url, "192.0.2.2"), sign_up(guarded.url, "192.0.2.3")
    with httpx.Client(headers={**member.headers, "Accept": GRAPHQL}) as client:
        for number in range(12):
            assert ask(
                client, guarded.url, "{ __typename }", **{"X-Forwarded-For": f"192.0.2.{number}"}
            ).is_success
        error = refused_at_once(client, guarded.url)
    assert (error["setting"], error["limit"], error["asked"]) == ("OPERATIONS_PER_MINUTE", 12, 1)
    assert other.ask("{ __typename }") == {"__typename": "Query"}


def refused_at_once(client: httpx.Client, url: str) -> dict[str, Any]:
    answer = ask(client, url, "{ __typename }")
    assert answer.status_code == 429
    return error_in(answer)


def test_cost_is_limited_by_what_is_asked(guarded: Guarded, client: httpx.Client) -> None:
    dear = "{ movies(first: 100) { edges { node { genres { name } directors { name } } } } }"
    error = refused_at(client, guarded.url, dear, 10)
    assert (error["setting"], error["limit"]) == ("COST_PER_MINUTE", 3_000)
    assert error["asked"] > 500


def test_what_is_refused_costs_its_reading(guarded: Guarded, client: httpx.Client) -> None:
    unknown = "{ " + "nothing " * 1_000 + "}"
    for number in range(10):
        answer = ask(client, guarded.url, unknown)
        if answer.status_code == 429:
            assert number >= 3
            assert error_in(answer)["setting"] == "COST_PER_MINUTE"
            return
        assert answer.status_code == 400
    pytest.fail("nothing was counted")


@pytest.mark.usefixtures("redis_url")
def test_rates_hold_across_processes(
    guarded: Guarded, client: httpx.Client, model_dir: Path, run_folder: Path
) -> None:
    with running(guarded.database_url, model_dir, run_folder, **guarded.settings) as second:
        for _ in range(6):
            for url in (guarded.url, f"{second.url}/graphql"):
                assert ask(client, url, "{ __typename }").is_success
        for url in (guarded.url, f"{second.url}/graphql"):
            answer = ask(client, url, "{ __typename }")
            assert answer.status_code == 429
            assert error_in(answer)["setting"] == "OPERATIONS_PER_MINUTE"


def test_every_answer_has_the_headers_of_a_safe_one(guarded: Guarded, client: httpx.Client) -> None:
    root = guarded.url.removesuffix("/graphql")
    answers = [
        ask(client, guarded.url),
        ask(client, guarded.url, "{"),
        ask(client, guarded.url, Origin=STRANGER),
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
    secure = ask(client, guarded.url, **{"X-Forwarded-Proto": "https"})
    assert "max-age" in secure.headers["Strict-Transport-Security"]


def test_pages_of_allowed_origins_ask_and_others_do_not(guarded: Guarded, client: httpx.Client) -> None:
    own = f"http://{urlsplit(guarded.url).netloc}"
    for origin, status, allowed in (
        (FRIEND, 200, FRIEND),
        (own, 200, None),
        (STRANGER, 403, None),
        ("null", 403, None),
    ):
        answer = ask(client, guarded.url, Origin=origin)
        assert (answer.status_code, answer.headers.get("Access-Control-Allow-Origin")) == (status, allowed)
        if status == 403:
            assert error_in(answer) == {"code": "FORBIDDEN"}
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST",
                 "Access-Control-Request-Headers": "content-type, authorization"}  # fmt: skip
        preflight = client.options(guarded.url, headers=asked)
        assert (preflight.status_code == 200) == (origin == FRIEND)
        assert "Access-Control-Allow-Credentials" not in preflight.headers


def test_a_form_of_another_page_changes_nothing(guarded: Guarded, client: httpx.Client) -> None:
    """What a browser sends without asking first: no JSON by POST, and no mutation by GET."""
    mutation = "mutation { logOut { __typename } }"
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        content = f'{{"query": "{mutation}"}}'
        assert client.post(guarded.url, content=content, headers={"Content-Type": kind}).status_code == 415
    assert client.get(guarded.url, params={"query": mutation}).status_code == 405


@pytest.mark.parametrize("origin", [FRIEND, STRANGER, "null", None])
def test_websockets_follow_the_same_origins(guarded: Guarded, origin: str | None) -> None:
    options: dict[str, Any] = {"subprotocols": [PROTOCOL], "origin": origin and Origin(origin)}
    if origin in (FRIEND, None):
        with connect(guarded.url.replace("http", "ws", 1), **options) as connection:
            assert connection.subprotocol == PROTOCOL
        return
    with pytest.raises(InvalidStatus) as refused:
        connect(guarded.url.replace("http", "ws", 1), **options)
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("sent", [b"", b"POST /graphql HTTP/1.1\r\nHost: a\r\n"])
def test_who_does_not_say_what_they_want_is_not_waited_for(guarded: Guarded, sent: bytes) -> None:
    with slow(guarded.url) as connection:
        connection.sendall(sent)
        assert connection.recv(1_000) == b""


def test_a_body_that_does_not_come_is_not_waited_for(guarded: Guarded) -> None:
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


def test_a_service_in_production_that_is_asked_without_a_proxy(
    start_server: StartServer, seeded_database_url: str
) -> None:
    settings = {"PRODUCTION": "true", "TRUSTED_PROXIES": "", "ALLOWED_HOSTS": "127.0.0.1, films.example"}
    service = start_server(
        seeded_database_url, **settings, MAX_CONNECTIONS_PER_ADDRESS="3", REQUESTS_PER_MINUTE="10"
    )
    url = f"{service.url}/graphql"
    with httpx.Client(headers={"Accept": GRAPHQL}) as client:
        told = ask(client, url, "{ __schema { queryType { name } } }")
        assert "introspection" in told.json()["errors"][0]["message"]
        (error,) = ask(client, url, "{ genre { name } }").json()["errors"]
        assert "genres" not in error["message"]
        assert ask(client, url, Host="strangers.example").status_code == 400
        assert ask(client, url, Host="films.example").status_code == 200
        for number in range(7):  # what a client says of its address is not believed
            assert ask(client, url, **{"X-Forwarded-For": f"192.0.2.{number}"}).status_code == 200
        assert error_in(ask(client, url, **{"X-Forwarded-For": "192.0.2.99"}))["code"] == "RATE_LIMITED"
        with slow(url), slow(url), slow(url) as fourth:  # and one of the client's own
            assert fourth.recv(1_000).startswith(b"HTTP/1.1 429 ")
        deadline = time.monotonic() + 10
        while not (answer := healthz(url)).startswith(b"HTTP/1.1 200 "):  # once it knows that these have gone
            assert answer.startswith(b"HTTP/1.1 429 "), answer
            assert time.monotonic() < deadline


def healthz(url: str) -> bytes:
    with slow(url) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: films.example\r\n\r\n")
        return client.recv(1_000)
