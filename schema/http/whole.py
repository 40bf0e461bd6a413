"""Responses in one piece; exports in them are streamed from their files."""

import asyncio
from collections.abc import AsyncGenerator
from functools import lru_cache
from uuid import uuid4

import orjson
from anyio._backends import _asyncio  # noqa: F401 - else the first export imports it, for 60 ms
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from app.accounts.exports import Export


def written(body: dict[str, object], status: int, headers: dict[str, str], media_type: str) -> Response:
    """The response with `body` as JSON, which may contain exports."""
    exports: dict[str, Export] = {}

    def mark(value: object) -> str:
        if not isinstance(value, Export):
            raise TypeError
        exports[name := uuid4().hex] = value
        return name

    text = orjson.dumps(body, mark)
    if not exports:
        return Whole(text, status, headers, media_type)
    return Spliced(text, exports, status, headers, media_type)


class Whole(Response):
    """A body in one piece, with its headers as they are sent."""

    def __init__(self, body: bytes, status: int, headers: dict[str, str], media_type: str) -> None:
        self.body, self.status_code, self.background = body, status, None
        self.raw_headers = [(b"content-length", b"%d" % len(body)), encoded("content-type", media_type)]
        for name, value in headers.items():
            self.raw_headers.append(encoded(name, value))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - of ASGI
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body})


@lru_cache(256)  # of few names and values; a larger number of `Retry-After` only fills it
def encoded(name: str, value: str) -> tuple[bytes, bytes]:
    return name.lower().encode("latin-1"), value.encode("latin-1")


class Spliced(StreamingResponse):
    """A JSON text with placeholders for exports, which are closed after it is sent or fails."""

    def __init__(
        self, text: bytes, exports: dict[str, Export], status: int, headers: dict[str, str], media_type: str
    ) -> None:
        self.exports = list(exports.values())
        self.texts: list[bytes] = []
        for name in exports:  # in the order of the text
            before, _, text = text.partition(b'"%b"' % name.encode())
            self.texts.append(before)
        self.texts.append(text)
        size = sum(map(len, self.texts)) + sum(export.size for export in self.exports)
        super().__init__(self.parts(), status, {**headers, "Content-Length": str(size)}, media_type)

    async def parts(self) -> AsyncGenerator[bytes]:
        """Raises ClientDisconnect for a client that reads too slowly."""
        now = asyncio.get_running_loop().time
        deadline = now() + min(export.seconds for export in self.exports)
        for text, export in zip(self.texts, self.exports, strict=False):
            yield text
            async for part in export.parts():
                if now() > deadline:
                    raise ClientDisconnect
                yield part
        yield self.texts[-1]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            for export in self.exports:
                export.close()
