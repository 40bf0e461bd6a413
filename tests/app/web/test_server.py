"""A process that stops: it drains, answers what it has begun, and sends websockets elsewhere."""

import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg
import pytest
from websockets.exceptions import ConnectionClosed

from tests.schema.http.conftest import movie_ids, open_socket, sign_up
from tests.schema.http.test_outages import wait_for_blocked
from tests.services import StartServer

RATE = "mutation ($id: ID!) { rateMovie(input: { movieId: $id, stars: 4 }) { __typename } }"


def test_a_process_that_drains_is_not_ready_and_ends_its_connections_one_by_one(
    start_server: StartServer, seeded_database_url: str
) -> None:
    service = start_server(seeded_database_url, DRAIN_SECONDS="60", ALLOWED_HOSTS="127.0.0.1")
    elsewhere = {"Host": "pod.example"}
    with httpx.Client(base_url=service.url) as client:
        assert client.get("/readyz", headers=elsewhere).status_code == 200  # checks need no known name
        assert client.get("/graphql", headers=elsewhere).status_code == 400
        assert "connection" not in client.get("/healthz").headers
        service.process.terminate()
        deadline = time.monotonic() + 60
        while (answer := client.get("/readyz")).status_code == 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert answer.json() == {
            "status": "unavailable",
            "database": True,
            "model": True,
            "reasons": ["The process is stopping."],
        }
        assert answer.headers["connection"] == "close"
    query = {"query": "{ movies(first: 1) { nodes { id } } }"}
    for _ in range(2):
        answer = httpx.post(f"{service.url}/graphql", json=query)
        assert "errors" not in answer.json()
        assert answer.headers["connection"] == "close"
    with open_socket(f"{service.url}/graphql") as late:
        late.send("subscribe", "1", query)
        assert "errors" not in late.receive()["payload"]
    os.kill(service.pid, signal.SIGINT)  # a second signal ends the wait
    service.process.join(20)
    assert service.process.exitcode is not None


def is_listening(address: tuple[str, int]) -> bool:
    with socket.socket() as trial:
        return trial.connect_ex(address) == 0


def test_what_has_begun_is_answered_before_a_process_stops(
    start_server: StartServer, seeded_database_url: str
) -> None:
    service = start_server(seeded_database_url)
    url = f"{service.url}/graphql"
    member = sign_up(url)
    first, second, *_ = movie_ids(url)
    body = b'{"query": "{ movies(first: 1) { nodes { id } } }"}'
    head = f"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n".encode()
    address = ("127.0.0.1", int(service.url.rpartition(":")[2]))
    authorization = {"Authorization": f"Bearer {member.token}"}
    with (
        open_socket(url, authorization) as each,
        psycopg.connect(seeded_database_url) as blocker,
        socket.create_connection(address) as slow,
        ThreadPoolExecutor(1) as pool,
    ):
        blocker.execute("LOCK TABLE ratings IN EXCLUSIVE MODE")
        slow.sendall(head)
        each.send("subscribe", "1", {"query": RATE, "variables": {"id": first}})
        rating = pool.submit(member.rate, second)
        wait_for_blocked(seeded_database_url, 2)
        service.process.terminate()
        while is_listening(address):
            time.sleep(0.05)
        slow.sendall(b"Content-Type: application/json\r\n\r\n" + body)
        assert slow.recv(12) == b"HTTP/1.1 200"
        each.send("subscribe", "2", {"query": "{ viewer { username } }"})  # is sent again after the restart
        blocker.rollback()
        assert each.receive()["payload"]["data"] == {"rateMovie": {"__typename": "RateMoviePayload"}}
        assert each.receive() == {"id": "1", "type": "complete"}
        with pytest.raises(ConnectionClosed) as closed:
            each.receive()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        rating.result()
    service.process.join(20)
    assert service.process.exitcode == -signal.SIGTERM
