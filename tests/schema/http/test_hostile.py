"""Hostile requests are refused with a code, and other requests still work."""

from collections.abc import Iterator

import httpx
import orjson
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from bench.hostile.requests import MEGABYTE, Hostile, requests
from tests.schema.http.conftest import PROTOCOL, Member, Socket, open_socket

REQUESTS = requests()


@pytest.mark.parametrize("hostile", REQUESTS, ids=[hostile.name for hostile in REQUESTS])
def test_a_hostile_request_is_refused_by_its_rule(graphql: str, hostile: Hostile) -> None:
    content = in_chunks(hostile.body) if hostile.chunked else hostile.body
    headers = {"Content-Type": "application/json"}
    answer = httpx.post(graphql, content=content, headers=headers, timeout=30)
    error, *others = answer.json()["errors"]
    assert error["extensions"]["code"] == hostile.code, answer.text[:1_000]
    assert error["extensions"].get("setting", "") == hostile.setting, answer.text[:1_000]
    assert len(others) <= 10
    assert len(answer.content) < 50_000
    if hostile.setting:
        assert error["extensions"]["asked"] > error["extensions"]["limit"] > 0
    assert httpx.post(graphql, json={"query": "{ __typename }"}).json()["data"] == {"__typename": "Query"}


def in_chunks(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), 65_536):
        yield body[start : start + 65_536]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{" * 100, 4400),
        ("[]", 4400),
        ('{"type": 7}', 4400),
        ('{"type": "subscribe", "id": "1", "payload": {"query": "{ __typename }"}}', 4401),
        ("x" * (4 * MEGABYTE), 1009),
        (b"\xff\xfe", 4400),
    ],
)
def test_a_websocket_that_breaks_the_protocol_is_closed(
    graphql: str, message: str | bytes, code: int
) -> None:
    with connect(graphql.replace("http", "ws", 1), subprotocols=[PROTOCOL]) as connection:
        connection.send(message)
        with pytest.raises(ConnectionClosed) as closed:
            connection.recv(20)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == code


def test_a_websocket_refuses_the_same_requests_as_http(graphql: str) -> None:
    with open_socket(graphql) as socket:
        for number, hostile in enumerate(REQUESTS):
            if not hostile.setting or hostile.setting == "MAX_BODY_BYTES":
                continue
            try:
                payload = orjson.loads(hostile.body)
            except ValueError:
                continue  # orjson itself has a limit, and closes the socket
            assert refused(socket, str(number), payload) == (hostile.code, hostile.setting), hostile.name
        socket.send("ping")
        assert socket.receive()["type"] == "pong"


def refused(socket: Socket, id_: str, payload: object) -> tuple[str, str]:
    socket.send("subscribe", id_, payload)
    reply = socket.receive()
    assert (reply["type"], reply["id"]) == ("error", id_)
    extensions = reply["payload"][0]["extensions"]
    return extensions["code"], extensions["setting"]


def test_concurrent_operations_on_one_websocket_are_bounded(member: Member) -> None:
    query = {"query": "subscription { recommendationsChanged { changedAt } }"}
    with open_socket(member.url, {"Authorization": f"Bearer {member.token}"}) as socket:
        for number in range(101):
            socket.send("subscribe", str(number), query)
        reply = socket.receive()
        assert (reply["type"], reply["id"]) == ("error", "100")
        expected = {"code": "RATE_LIMITED", "limit": 100, "asked": 101}
        assert reply["payload"][0]["extensions"] == expected
