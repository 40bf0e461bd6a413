"""Compressed answers: gzip or Zstandard, as the client accepts them.

BREACH reads a secret that is compressed beside a text of the attacker's choice, which a page of another site
makes the victim's browser ask for. Here no browser adds credentials by itself (there are no cookies), and an
answer that may hold a new secret, that of a mutation, is marked `no-transform` and sent as it is.
Streams of events and of parts are sent as they are too, so that each part arrives at once.
"""

import asyncio
import zlib
from collections.abc import Callable
from functools import lru_cache, partial
from http import HTTPStatus
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from werkzeug.http import parse_accept_header

from app.web.zstd import ZstdCompressor

COMPRESSED = {"application/json", "application/graphql-response+json", "text/html"}
MIN_BYTES = 1_000  # below it, headers and the work cost more than is saved
MAX_BYTES_ON_LOOP = 32_768  # more is compressed in a thread: about a millisecond of gzip
GZIP_LEVEL, ZSTD_LEVEL = 5, 3
LONGEST_HEADER = 1_000
COMPRESSORS: dict[str, Callable[[], Any]] = {
    "zstd": partial(ZstdCompressor, ZSTD_LEVEL),
    "gzip": partial(zlib.compressobj, GZIP_LEVEL, wbits=zlib.MAX_WBITS | 16),
}


class Compression:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            coding = preferred(", ".join(Headers(scope=scope).getlist("accept-encoding")))
            send = Answer(coding, send).send
        await self.app(scope, receive, send)


@lru_cache(maxsize=256)
def preferred(header: str) -> str | None:
    """The coding of ours with the highest quality; None where the client prefers the answer as it is."""
    if len(header) > LONGEST_HEADER:
        return None
    qualities = {name.lower(): quality for name, quality in reversed(list(parse_accept_header(header)))}
    others = qualities.get("*", 0.0)
    best = max(COMPRESSORS, key=lambda coding: qualities.get(coding, others))
    quality = qualities.get(best, others)
    return best if quality > 0 and quality >= qualities.get("identity", 0.0) else None


class Answer:
    """One answer on its way out. Its head waits for the first part of its body, whose length decides."""

    def __init__(self, coding: str | None, send: Send) -> None:
        self.coding = coding
        self.forward = send
        self.head: Message | None = None
        self.compressor: Any = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=message.setdefault("headers", []))
            compressible = may_compress(message["status"], headers)
            if compressible or message["status"] == HTTPStatus.NOT_MODIFIED:
                headers.add_vary_header("Accept-Encoding")
            if not compressible or self.coding is None:
                await self.forward(message)
            else:
                self.head = message
        elif message["type"] == "http.response.body" and (self.head or self.compressor):
            await self.send_body(message)
        else:
            await self.forward(message)

    async def send_body(self, message: Message) -> None:
        body, more = message.get("body", b""), message.get("more_body", False)
        if self.head is not None:
            head, self.head = self.head, None
            if not more and len(body) < MIN_BYTES:
                await self.forward(head)
                await self.forward(message)
                return
            assert self.coding is not None
            self.compressor = COMPRESSORS[self.coding]()
            compressed = await self.compressed(body, more=more)
            change(MutableHeaders(raw=head["headers"]), self.coding, None if more else len(compressed))
            await self.forward(head)
        else:
            compressed = await self.compressed(body, more=more)
        if compressed or not more:
            await self.forward({**message, "body": compressed})

    async def compressed(self, body: bytes, *, more: bool) -> bytes:
        if len(body) <= MAX_BYTES_ON_LOOP:
            return self.compress(body, more=more)
        return await asyncio.to_thread(self.compress, body, more=more)

    def compress(self, body: bytes, *, more: bool) -> bytes:
        compressed: bytes = self.compressor.compress(body)
        return compressed if more else compressed + self.compressor.flush()


def may_compress(status: int, headers: MutableHeaders) -> bool:
    return (
        headers.get("content-type", "").partition(";")[0] in COMPRESSED
        and status not in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
        and "content-encoding" not in headers
        and "no-transform" not in headers.get("cache-control", "")
    )


def change(headers: MutableHeaders, coding: str, length: int | None) -> None:
    """Describe the compressed answer. Its entity tag is weak: it names the answer in every coding."""
    headers["Content-Encoding"] = coding
    if length is None:
        del headers["Content-Length"]
    else:
        headers["Content-Length"] = str(length)
    etag = headers.get("etag")
    if etag is not None and not etag.startswith("W/"):
        headers["ETag"] = f"W/{etag}"
