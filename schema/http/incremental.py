"""Incremental delivery and event streams over HTTP."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any

import orjson
from graphql.execution import InitialIncrementalExecutionResult, SubsequentIncrementalExecutionResult
from starlette.responses import StreamingResponse
from strawberry.http import process_result
from strawberry.http.streaming import (
    HTTPStreamTransport,
    MultipartSubscriptionTransport,
    MultipartTransport,
    SSETransport,
)

from schema.execution.deadline import Results

Piece = Any  # a JSON object


class Events(SSETransport):
    """Server-sent events with plain line feeds, the only end of an event that urql recognizes."""

    def encode_event(self, event: str, data: str | None = None) -> str:
        return super().encode_event(event, data).replace("\r\n", "\n")

    def encode_comment(self, comment: str) -> str:
        return super().encode_comment(comment).replace("\r\n", "\n")


EVENTS = Events()
MULTIPART_SUBSCRIPTION = MultipartSubscriptionTransport()


class Pieces:
    """Format the results of one operation.

    `legacy` is incremental delivery as proposed in 2022, which Apollo Client reads: each piece has its path.
    In the current proposal, `pending` announces pieces, and each piece has the id of its announcement.
    """

    def __init__(self, *, legacy: bool = False) -> None:
        self.legacy = legacy
        self.places: dict[str, Piece] = {}

    def of(self, result: Any) -> Piece:
        if not isinstance(result, InitialIncrementalExecutionResult | SubsequentIncrementalExecutionResult):
            return process_result(result)
        piece: Piece = result.formatted
        if not piece.get("extensions"):
            piece.pop("extensions", None)
        return self.in_legacy(piece) if self.legacy else piece

    def in_legacy(self, piece: Piece) -> Piece:
        for pending in piece.pop("pending", ()):
            self.places[pending.pop("id")] = pending
        patches: list[Piece] = []
        for patch in piece.pop("incremental", ()):
            place = self.places[patch.pop("id")]
            patches.append({**patch, **place, "path": [*place["path"], *patch.pop("subPath", ())]})
        patches += [
            {"data": None, **self.places[done["id"]], "errors": done["errors"]}
            for done in piece.pop("completed", ())
            if "errors" in done
        ]
        return {**piece, "incremental": patches} if patches else piece


def encoded(piece: object) -> str:
    return orjson.dumps(piece).decode()


def streamed(results: Results, transport: HTTPStreamTransport, stopping: asyncio.Event) -> StreamingResponse:
    """Send each result as an event, with heartbeats between them, until the operation or the client ends."""

    async def stream() -> AsyncGenerator[str]:
        pieces = Pieces()
        async with aclosing(results):
            async for result in results:
                yield transport.encode_next(pieces.of(result), encoded)
        yield transport.encode_complete()

    return StreamingResponse(with_heartbeats(stream(), transport, stopping), headers=transport.headers)


async def with_heartbeats(
    chunks: AsyncGenerator[str], transport: HTTPStreamTransport, stopping: asyncio.Event
) -> AsyncGenerator[str]:
    """Add a heartbeat after each idle interval, until the stream ends or the service stops.

    When the service stops, the stream breaks off without `complete`, so that the client reconnects.
    """
    stop = asyncio.ensure_future(stopping.wait())
    step: asyncio.Future[str] | None = None
    try:
        while not stop.done():
            step = step or asyncio.ensure_future(anext(chunks))
            await asyncio.wait(
                (step, stop), timeout=transport.heartbeat_interval, return_when=asyncio.FIRST_COMPLETED
            )
            if step.done():
                with suppress(StopAsyncIteration):
                    yield step.result()
                    step = None
                    continue
                return
            if not stop.done():
                yield transport.heartbeat_message(encoded)
    finally:
        stop.cancel()
        if step is not None:
            step.cancel()
            await asyncio.wait((step,))
        await chunks.aclose()


def in_pieces(first: object, results: Results | None, *, legacy: bool) -> StreamingResponse:
    """Send the first result at once, and the deferred parts as they complete."""
    pieces, transport = Pieces(legacy=legacy), MultipartTransport()

    async def rest() -> AsyncGenerator[object]:
        yield pieces.of(first)
        if results is None:
            return
        async with aclosing(results):
            async for result in results:
                yield pieces.of(result)

    headers = {**transport.headers, "Cache-Control": "no-store"}
    return StreamingResponse(transport.stream(rest, encoded)(), headers=headers)
