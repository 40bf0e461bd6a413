"""Request ids in responses and log lines, and JSON logs of a live service."""

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE
from typing import Any

import httpx
import psycopg
import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from tests.conftest import ROOT
from tests.services import Service, StartServer, running

LISTED = '{"query": "{ movies(first: 1) { edges { node { title } } } }"}'
JSON = {"Content-Type": "application/json"}


def lines(service: Service) -> list[dict[str, Any]]:
    return [json.loads(line) for line in service.log.read_text().splitlines()]


def post(service: Service, body: str = LISTED, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(f"{service.url}/graphql", content=body, headers=JSON | named)


SETTINGS = {"LOG_FORMAT": "json", "LOG_LEVEL": "debug"}


@pytest.fixture(scope="module")
def logged(server_database_url: str, model_dir: Path, run_folder: Path) -> Iterator[Service]:
    with running(server_database_url, model_dir, run_folder, **SETTINGS) as service:
        yield service


@pytest.fixture
def own(seeded_database_url: str, start_server: StartServer) -> Service:
    """A service for one test."""
    return start_server(seeded_database_url, **SETTINGS)


def test_an_id_that_is_sent_comes_back_and_is_in_the_lines_of_the_request(logged: Service) -> None:
    assert post(logged, X_Request_Id="proxy-1.a_B").headers["X-Request-Id"] == "proxy-1.a_B"
    (line,) = [line for line in lines(logged) if line.get("request_id") == "proxy-1.a_B"]
    assert line["logger"] == "marquee.http"
    assert line["level"] == "debug"
    assert line["message"].startswith("POST /graphql: 200 in ")


@pytest.mark.parametrize("sent", ["", "a" * 129, "two words", 'a"b', "a;b", "é".encode().decode("latin-1")])
def test_an_id_that_is_long_or_has_other_characters_is_replaced(logged: Service, sent: str) -> None:
    answer = httpx.post(
        f"{logged.url}/graphql",
        content=LISTED,
        headers=[(b"Content-Type", b"application/json"), (b"X-Request-Id", sent.encode("latin-1"))],
    )
    made = answer.headers["X-Request-Id"]
    assert made != sent
    assert len(made) == 32
    assert made.isalnum()


def test_each_response_has_an_id_of_its_own(logged: Service) -> None:
    answers = [
        post(logged),
        post(logged, "{"),
        httpx.get(f"{logged.url}/healthz"),
        httpx.get(f"{logged.url}/nothing"),
        httpx.put(f"{logged.url}/graphql"),
        httpx.get(f"{logged.url}/graphql", headers={"Accept": "text/html"}),
    ]
    assert len({answer.headers["X-Request-Id"] for answer in answers}) == len(answers)


def test_a_refused_connection_has_an_id_too(logged: Service) -> None:
    host, port = logged.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"no request\r\n\r\n")
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"\r\nX-Request-Id: " in answer


@pytest.mark.anyio
async def test_the_handshake_of_a_websocket_has_an_id(logged: Service) -> None:
    address = logged.url.replace("http", "ws") + "/graphql"
    protocols = [Subprotocol("graphql-transport-ws")]
    async with connect(
        address, subprotocols=protocols, additional_headers={"X-Request-Id": "ws-1"}
    ) as opened:
        assert opened.response is not None
        assert opened.response.headers["X-Request-Id"] == "ws-1"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def test_a_fault_is_one_json_line_with_the_id_and_the_traceback(
    own: Service, seeded_database_url: str
) -> None:
    with psycopg.connect(seeded_database_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE users RENAME TO hidden")
    log_in = 'mutation { logIn(input: { username: "someone", password: "a long walk" }) { __typename } }'
    body = json.dumps({"query": log_in})
    answer = post(own, body, X_Request_Id="fault-1")
    (error,) = answer.json()["errors"]
    assert error["extensions"]["code"] == "INTERNAL"
    (line,) = [
        line
        for line in lines(own)
        if line.get("request_id") == "fault-1" and line["logger"] == "marquee.graphql"
    ]
    assert error["extensions"]["errorId"] in line["message"]
    assert 'relation "users" does not exist' in line["exception"]
    assert line["level"] == "error"


def test_all_lines_of_a_service_are_json_from_start_to_stop(own: Service) -> None:
    post(own)
    own.process.terminate()
    own.process.join(20)
    messages = [line["message"] for line in lines(own)]
    assert any(message.startswith("GraphiQL and the GraphQL API: http://") for message in messages)
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines(own))


def test_the_start_names_graphiql_only_if_it_is_served(
    seeded_database_url: str, start_server: StartServer
) -> None:
    service = start_server(seeded_database_url, **SETTINGS, GRAPHIQL="false")
    messages = [line["message"] for line in lines(service)]
    assert any(message.startswith("GraphQL API: http://") for message in messages)
    assert not any("GraphiQL" in message for message in messages)


def test_text_lines_have_the_id_too(seeded_database_url: str, start_server: StartServer) -> None:
    service = start_server(seeded_database_url, LOG_LEVEL="debug")
    post(service, X_Request_Id="text-1")
    assert " DEBUG marquee.http [text-1]: POST /graphql: 200 in " in service.log.read_text()


def test_concurrent_requests_keep_their_ids(logged: Service) -> None:
    async def send() -> None:
        async with httpx.AsyncClient() as client:

            async def one(number: int) -> None:
                headers = JSON | {"X-Request-Id": f"many-{number}"}
                answer = await client.post(f"{logged.url}/graphql", content=LISTED, headers=headers)
                assert answer.headers["X-Request-Id"] == f"many-{number}"

            await asyncio.gather(*map(one, range(30)))

    asyncio.run(send())
    ids = [line["request_id"] for line in lines(logged) if line.get("request_id", "").startswith("many-")]
    assert sorted(ids) == sorted(f"many-{number}" for number in range(30))


def test_the_failure_of_a_training_is_a_json_line_too() -> None:
    order = {"database_url": "postgresql://nobody@127.0.0.1:9/none", "models": "models", "kept_models": 1}
    order |= {"settings": None, "sentences": None, "attributes": "", "mlflow": None, "job_id": 7, "claim": ""}
    order |= {"kind": "hybrid", "gate": True}
    order |= {"log_level": "info", "log_format": "json"}
    with subprocess.Popen(
        [sys.executable, "-m", "app.training"], stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        line = json.loads(process.stderr.read())
        assert process.wait() == 1
    assert line["message"] == "training job 7 failed"
    assert "OperationalError" in line["exception"]
