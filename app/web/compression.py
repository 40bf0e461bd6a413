"""Compress responses with gzip or Zstandard, as the client accepts them.

The BREACH attack reads a secret that is compressed together with text of the attacker's choice, which
another site makes the victim's browser request. Here browsers add no credentials on their own: the only
cookie, that of the web app, is for `/session`, which other sites cannot use. A response that may hold a new
secret, that of a mutation, is marked `no-transform` and not compressed.
Streams of events and of parts are not compressed either, so that each part arrives at once.
"""

import asyncio
import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from werkzeug.http import parse_accept_header

from app.web.zstd import ZstdCompressor

COMPRESSED = {b"application/json", b"application/graphql-response+json", b"text/html"}
MIN_BYTES = 1_000  # below this, compression costs more than it saves
MAX_BYTES_ON_LOOP = 32_768  # about a millisecond of gzip; more is compressed in a thread
GZIP_LEVEL, ZSTD_LEVEL = 5, 3
LONGEST_HEADER = 1_000
NO_CONTENT, NOT_MODIFIED = 204, 304
VARY = (b"vary", b"Accept-Encoding")
COMPRESSORS: dict[str, Callable[[], Any]] = {
    "zstd": partial(ZstdCompressor, ZSTD_LEVEL),
    "gzip": partial(zlib.compressobj, GZIP_LEVEL, wbits=zlib.MAX_WBITS | 16),
}


class Compression:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            accepted = b""
            for name, value in scope["headers"]:
                if name == b"accept-encoding":
                    accepted += b", " + value if accepted else value
            send = Response(preferred(accepted.decode("latin-1")) if accepted else None, send).send
        await self.app(scope, receive, send)


@lru_cache(maxsize=256)
def preferred(header: str) -> str | None:
    """The supported coding with the highest quality; None if the client prefers no compression."""
    if len(header) > LONGEST_HEADER:
        return None
    qualities = {name.lower(): quality for name, quality in reversed(list(parse_accept_header(header)))}
    others = qualities.get("*", 0.0)
    best = max(COMPRESSORS, key=lambda coding: qualities.get(coding, others))
    quality = qualities.get(best, others)
    return best if quality > 0 and quality >= qualities.get("identity", 0.0) else None


class Response:
    """Sends one response. The length of the first part of the body decides whether to compress it."""

    def __init__(self, coding: str | None, send: Send) -> None:
        self.coding = coding
        self.forward = send
        self.head: Message | None = None
        self.compressor: Any = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = message.setdefault("headers", [])
            given = dict(headers)
            compressible = may_compress(message["status"], given)
            if compressible or message["status"] == NOT_MODIFIED:
                if b"vary" in given:
                    MutableHeaders(raw=headers).add_vary_header("Accept-Encoding")
                else:
                    headers.append(VARY)
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


def may_compress(status: int, headers: Mapping[bytes, bytes]) -> bool:
    return (
        headers.get(b"content-type", b"").partition(b";")[0] in COMPRESSED
        and status not in (NO_CONTENT, NOT_MODIFIED)
        and b"content-encoding" not in headers
        and b"no-transform" not in headers.get(b"cache-control", b"")
    )


def change(headers: MutableHeaders, coding: str, length: int | None) -> None:
    """Set the headers of a compressed response. Its ETag is weak, since it is the same for all codings."""
    headers["Content-Encoding"] = coding
    if length is None:
        del headers["Content-Length"]
    else:
        headers["Content-Length"] = str(length)
    etag = headers.get("etag")
    if etag is not None and not etag.startswith("W/"):
        headers["ETag"] = f"W/{etag}"
