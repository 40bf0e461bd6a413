"""Clients that still write when their request is refused can read the response."""

import json
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from app.web.http_protocol import MAX_HEAD_BYTES
from tests.schema.http.conftest import Guarded
from tests.services import StartServer

BIG = b'{"query": "' + b" " * 12_000_000 + b'"}'
JSON = {"Content-Type": "application/json"}


def refused(url: str, body: Any, **headers: str) -> tuple[int, Any]:
    """Request like Python's urllib, which writes the whole body before it reads."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, body, {**JSON, **named})  # noqa: S310 - http
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(request, timeout=30)  # noqa: S310 - http
    assert raised.value.headers["Connection"] == "close"
    return raised.value.code, json.load(raised.value)["errors"][0]["extensions"]["code"]


def chunks() -> Iterator[bytes]:
    for start in range(0, len(BIG), 65_536):
        yield BIG[start : start + 65_536]


def test_a_client_that_still_writes_reads_its_refusal(graphql: str) -> None:
    for _ in range(3):
        assert refused(graphql, BIG) == (413, "QUERY_TOO_COMPLEX")
        assert refused(graphql, chunks()) == (413, "QUERY_TOO_COMPLEX")
        assert refused(graphql, BIG, Content_Type="text/plain") == (415, "BAD_USER_INPUT")
        assert refused(graphql, BIG, Content_Encoding="br") == (415, "BAD_USER_INPUT")
        assert refused(graphql, BIG, Origin="https://strangers.example") == (403, "FORBIDDEN")


def test_a_rate_limited_client_reads_its_refusal(guarded: Guarded) -> None:
    address = "198.51.100.77"
    answers = {refused(guarded.url, BIG, X_Forwarded_For=address)[0] for _ in range(31)}
    assert answers == {413, 429}


@pytest.mark.parametrize("options", [[], ["-H", "Expect:"], ["-H", "Transfer-Encoding: chunked"]])
def test_curl_reads_its_refusal(graphql: str, tmp_path: Path, options: list[str]) -> None:
    """curl sends `Expect: 100-continue` before a long body, unless disabled."""
    if (curl := shutil.which("curl")) is None:
        pytest.skip("curl is not installed")
    (tmp_path / "body").write_bytes(BIG)
    command = [curl, "-sS", "-w", "\n%{http_code}", "-H", "Content-Type: application/json", *options]
    done = subprocess.run(
        [*command, "--data-binary", f"@{tmp_path / 'body'}", graphql],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    body, _, status = done.stdout.rpartition("\n")
    assert (status, json.loads(body)["errors"][0]["extensions"]["setting"]) == ("413", "MAX_BODY_BYTES")


def opened(url: str) -> socket.socket:
    address = urlsplit(url)
    return socket.create_connection((address.hostname, address.port), timeout=20)


def test_an_endless_body_is_not_read_forever(guarded: Guarded) -> None:
    """REQUEST_SECONDS is half a second."""
    head = "POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    with opened(guarded.url) as client:
        client.sendall(f"{head}Content-Length: 9999999999\r\n\r\n".encode())
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            send_for_ever(client)


def send_for_ever(client: socket.socket) -> None:
    while True:
        client.sendall(b" " * 65_536)


def test_a_connection_survives_the_refusal_of_a_complete_request(graphql: str) -> None:
    address = urlsplit(graphql)
    assert address.hostname
    client = HTTPConnection(address.hostname, address.port, timeout=20)
    for content_type, status in (("text/plain", 415), ("application/json", 200), ("application/json", 200)):
        client.request("POST", "/graphql", b'{"query": "{ __typename }"}', {"Content-Type": content_type})
        answer = client.getresponse()
        answer.read()
        assert (answer.status, answer.will_close) == (status, False)
    client.close()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n" + b"x" * 500_000, b"400"),
        (b"GET /" + b"x" * (3 * MAX_HEAD_BYTES), b"431"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nCookie: " + b"x" * (3 * MAX_HEAD_BYTES), b"431"),
    ],
)
def test_an_invalid_request_is_refused_on_the_connection(graphql: str, sent: bytes, status: bytes) -> None:
    with opened(graphql) as client:
        client.sendall(sent)
        assert client.recv(100).startswith(b"HTTP/1.1 " + status)


def test_an_excess_connection_reads_the_reason(start_server: StartServer, seeded_database_url: str) -> None:
    settings = {"MAX_CONNECTIONS_PER_ADDRESS": "2", "TRUSTED_PROXIES": "192.0.2.1", "REQUEST_SECONDS": "60"}
    url = start_server(seeded_database_url, **settings).url
    with opened(url), opened(url):
        for _ in range(5):
            with opened(url) as third:
                third.sendall(b"POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n")
                third.sendall(b" " * 900_000)
                assert third.recv(100).startswith(b"HTTP/1.1 429 ")
