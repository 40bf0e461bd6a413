"""Compressed responses: coding, headers, and responses that are not compressed."""

import asyncio
import gzip
import json
import sys
import zlib
from http.client import HTTPConnection, HTTPResponse
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from app.web.compression import MAX_BYTES_ON_LOOP, Compression, preferred
from tests.schema.http.conftest import Member
from tests.services import StartServer

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DECOMPRESS: dict[str | None, Any] = {None: bytes, "gzip": gzip.decompress, "zstd": zstd.decompress}
PAGE = "{ movies(first: 50) { edges { node { id title overview genres { name } } } } }"


def asked(
    graphql: str, coding: str, query: str = PAGE, method: str = "GET", **headers: str
) -> tuple[HTTPResponse, bytes]:
    address = urlsplit(graphql)
    assert address.hostname
    connection = HTTPConnection(address.hostname, address.port, timeout=30)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named |= {"Accept-Encoding": coding, "Content-Type": "application/json"}
    path = "/graphql" if method == "POST" else f"/graphql?query={quote(query)}"
    body = json.dumps({"query": query}) if method == "POST" else None
    connection.request(method, path, body, named)
    answer = connection.getresponse()
    raw = answer.read()
    connection.close()
    return answer, raw


def vary(answer: HTTPResponse) -> set[str]:
    return {name.strip() for name in answer.headers["Vary"].split(",")}


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        ("", None),
        ("br", None),
        ("gzip", "gzip"),
        ("GZIP", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip;q=1.0, zstd;q=0.5", "gzip"),
        ("gzip;q=0, zstd;q=0", None),
        ("*", "zstd"),
        ("zstd;q=0, *", "gzip"),
        ("gzip;q=0.5, identity", None),
        ("gzip;q=0.5, identity;q=0.4", "gzip"),
        ("identity;q=0, *;q=0", None),
        ("zstd;q=nonsense, gzip", "gzip"),
        ("gzip," * 1_000, None),
    ],
)
def test_the_preferred_coding(header: str, coding: str | None) -> None:
    assert preferred(header) == coding


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(("header", "coding"), [("gzip", "gzip"), ("zstd", "zstd"), ("br", None)])
def test_a_response_has_a_coding_that_the_client_accepts(
    graphql: str, method: str, header: str, coding: str | None
) -> None:
    answer, raw = asked(graphql, header, method=method)
    assert (answer.status, answer.headers["Content-Encoding"]) == (200, coding)
    assert int(answer.headers["Content-Length"]) == len(raw)
    assert "Accept-Encoding" in vary(answer)
    plain = asked(graphql, "identity", method=method)[1]
    assert json.loads(DECOMPRESS[coding](raw))["data"] == json.loads(plain)["data"]
    assert coding is None or len(raw) < len(plain) / 2


def test_a_short_response_is_not_compressed(graphql: str) -> None:
    answer, raw = asked(graphql, "gzip", "{ __typename }")
    assert answer.headers["Content-Encoding"] is None
    assert json.loads(raw)["data"] == {"__typename": "Query"}
    assert vary(answer) == {"Accept", "Authorization", "Accept-Encoding"}


def test_a_cacheable_response_is_revalidated_in_every_coding(graphql: str) -> None:
    plain, _ = asked(graphql, "identity")
    packed, _ = asked(graphql, "gzip")
    assert packed.headers["ETag"] == f"W/{plain.headers['ETag']}"
    assert packed.headers["Cache-Control"] == plain.headers["Cache-Control"] == "public, max-age=60"
    for tag in (plain.headers["ETag"], packed.headers["ETag"], f'"other", {packed.headers["ETag"]}', "*"):
        for coding in ("identity", "gzip"):
            answer, raw = asked(graphql, coding, If_None_Match=tag)
            assert (answer.status, raw) == (304, b"")
            assert vary(answer) == {"Accept", "Authorization", "Accept-Encoding"}
    assert asked(graphql, "gzip", If_None_Match='"other"')[0].status == 200


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_head_has_the_headers_of_get(graphql: str, coding: str) -> None:
    got, _ = asked(graphql, coding)
    answer, raw = asked(graphql, coding, method="HEAD")
    assert (answer.status, raw) == (200, b"")
    for name in ("Content-Type", "Content-Length", "Content-Encoding", "ETag", "Cache-Control", "Vary"):
        assert answer.headers[name] == got.headers[name]


def test_a_response_with_tokens_is_not_compressed(member: Member) -> None:
    key = '{ username: "nobody here", password: "a long walk home" }'
    padding = " ".join(f"t{n}: __typename" for n in range(90))
    query = f"mutation {{ logIn(input: {key}) {{ {padding} ... on AuthPayload {{ accessToken }} }} }}"
    answer, raw = asked(member.url, "gzip, zstd", query, "POST")
    assert len(raw) > 1_000
    assert answer.headers["Content-Encoding"] is None
    assert answer.headers["Cache-Control"] == "no-store, no-transform"
    assert json.loads(raw)["data"]["logIn"]["t0"]


@pytest.mark.parametrize("accept", ["text/event-stream", "multipart/mixed"])
def test_streams_are_not_compressed(graphql: str, accept: str) -> None:
    query = PAGE.replace("{ movies", "{ ... @defer { genres { name } } movies")
    answer, raw = asked(graphql, "gzip, zstd", query, "POST", Accept=accept)
    assert answer.headers["Content-Type"].startswith(accept)
    assert answer.headers["Content-Encoding"] is None
    assert b"genres" in raw


def test_compression_can_be_left_to_a_proxy(start_server: StartServer, seeded_database_url: str) -> None:
    service = start_server(seeded_database_url, COMPRESSION="false")
    answer, raw = asked(f"{service.url}/graphql", "gzip, zstd")
    assert answer.headers["Content-Encoding"] is None
    assert json.loads(raw)["data"]["movies"]


def answered(response: Response, coding: str = "gzip") -> list[Message]:
    """The messages that the server sends for an application's response."""
    messages: list[Message] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await response(scope, receive, send)

    async def receive() -> Message:
        await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        messages.append(message)

    scope = {"type": "http", "method": "GET", "headers": [(b"accept-encoding", coding.encode())]}
    asyncio.run(Compression(application)(scope, receive, send))
    return messages


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_streamed_response_is_compressed_in_chunks(coding: str) -> None:
    pieces = [b'{"rows": ["', b"a" * (2 * MAX_BYTES_ON_LOOP), b"", b"b" * 100, b'"]}']

    async def body() -> Any:
        for piece in pieces:
            yield piece

    response = StreamingResponse(body(), media_type="application/json", headers={"Content-Length": "65647"})
    head, *rest = answered(response, coding)
    headers = {name.decode(): value.decode() for name, value in head["headers"]}
    assert headers["content-encoding"] == coding
    assert "content-length" not in headers
    assert DECOMPRESS[coding](b"".join(part["body"] for part in rest)) == b"".join(pieces)
    assert [part.get("more_body", False) for part in rest] == [True] * (len(rest) - 1) + [False]


@pytest.mark.parametrize(
    "response",
    [
        Response(b"\x00" * 5_000, media_type="image/png"),
        JSONResponse(["x" * 5_000], headers={"Content-Encoding": "br"}),
        JSONResponse(["x" * 5_000], headers={"Cache-Control": "public, no-transform"}),
        Response(status_code=204, media_type="application/json"),
    ],
)
def test_some_responses_are_never_compressed(response: Response) -> None:
    raw = list(response.raw_headers)
    head, body = answered(response)
    assert head["headers"] == raw
    assert body["body"] == response.body


def test_a_large_body_is_compressed_off_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []
    real = asyncio.to_thread

    async def to_thread(function: Any, body: bytes, **options: Any) -> Any:
        threads.append(len(body))
        return await real(function, body, **options)

    monkeypatch.setattr(asyncio, "to_thread", to_thread)
    small, large = b"x" * MAX_BYTES_ON_LOOP, b"x" * (MAX_BYTES_ON_LOOP + 1)
    for content in (small, large):
        (_, body) = answered(Response(content, media_type="application/json"))
        assert zlib.decompress(body["body"], 31) == content
    assert threads == [len(large)]
