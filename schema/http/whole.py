"""Responses in one piece; exports in them are streamed from their files."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from functools import lru_cache
from typing import Any
from uuid import uuid4

import orjson
from anyio._backends import _asyncio  # noqa: F401 - else the first export imports it, for 60 ms
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from strawberry.types.execution import ExecutionResult

from app.accounts.exports import Export
from schema.core.errors import ErrorCode
from schema.http.content_negotiation import GRAPHQL_RESPONSE, Accept

# The status of requests that were not executed, by error code; 400 for other codes.
STATUS = {
    ErrorCode.UNAUTHENTICATED.name: 401,
    ErrorCode.FORBIDDEN.name: 403,
    ErrorCode.RATE_LIMITED.name: 429,
    ErrorCode.INTERNAL.name: 500,
    ErrorCode.OVERLOADED.name: 503,
    ErrorCode.SERVICE_UNAVAILABLE.name: 503,
    ErrorCode.TIMEOUT.name: 504,
}
NO_STORE = {"Cache-Control": "no-store"}


def json_response(
    result: ExecutionResult,
    accept: Accept,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An answer in one piece.

    The media type decides the status of a request that was not executed: `application/json` may come from
    any intermediary, so that clients of it expect 200 with every well-formed request.
    """
    body: dict[str, Any] = {"data": result.data}
    if result.errors:
        body["errors"] = [error.formatted for error in result.errors]
    if result.extensions:
        body["extensions"] = result.extensions
    fields = {**NO_STORE, **headers} if headers else NO_STORE
    if status is None and result.data is None:
        if (wait := retry_after_of(body)) is not None:
            status, fields = 429, {**fields, **retry_after(wait)}
        # An error without a path is not of a field, but of the request: nothing was executed.
        elif not any(error.path for error in result.errors or ()):
            status = STATUS.get(code_of(body["errors"][0]), 400) if accept.json == GRAPHQL_RESPONSE else 200
    if status is not None:
        del body["data"]
    return written(body, status or 200, fields, accept.content_type)


def retry_after(seconds: int) -> dict[str, str]:
    return {"Retry-After": str(seconds)}


def retry_after_of(body: dict[str, Any]) -> int | None:
    """The seconds to wait after an answer that says the client is beyond its rate; else None."""
    if not body.get("errors"):
        return None
    wait: int | None = body["errors"][0].get("extensions", {}).get("retryAfter")
    return wait


def code_of(error: dict[str, Any]) -> str:
    code: str = error.get("extensions", {}).get("code", "")
    return code


def written(body: dict[str, Any], status: int, headers: Mapping[str, str], media_type: str) -> Response:
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

    def __init__(self, body: bytes, status: int, headers: Mapping[str, str], media_type: str) -> None:
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
        self,
        text: bytes,
        exports: dict[str, Export],
        status: int,
        headers: Mapping[str, str],
        media_type: str,
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
