"""Answers in several pieces: what each piece says, and how they follow one another over HTTP."""

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

from schema.execution.executor import Results

Piece = Any  # a JSON object


class Events(SSETransport):
    """With plain line feeds: urql knows no other end of an event."""

    def encode_event(self, event: str, data: str | None = None) -> str:
        return super().encode_event(event, data).replace("\r\n", "\n")

    def encode_comment(self, comment: str) -> str:
        return super().encode_comment(comment).replace("\r\n", "\n")


EVENTS = Events()
MULTIPART_SUBSCRIPTION = MultipartSubscriptionTransport()


class Pieces:
    """What is said of each result of one operation.

    `legacy` is incremental delivery as proposed in 2022, which Apollo Client reads: each piece with its path.
    As it is proposed now, pieces are announced as `pending`, and given by the id of the announcement.
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
        given: list[Piece] = []
        for patch in piece.pop("incremental", ()):
            place = self.places[patch.pop("id")]
            given.append({**patch, **place, "path": [*place["path"], *patch.pop("subPath", ())]})
        given += [
            {"data": None, **self.places[done["id"]], "errors": done["errors"]}
            for done in piece.pop("completed", ())
            if "errors" in done
        ]
        return {**piece, "incremental": given} if given else piece


def encoded(piece: object) -> str:
    return orjson.dumps(piece).decode()


def streamed(results: Results, transport: HTTPStreamTransport, stopping: asyncio.Event) -> StreamingResponse:
    """Each result as an event, with heartbeats between them, until the operation or the client ends."""

    async def stream() -> AsyncGenerator[str]:
        pieces = Pieces()
        async with aclosing(results):
            async for result in results:
                yield transport.encode_next(pieces.of(result), encoded)
        yield transport.encode_complete()

    return StreamingResponse(beating(stream(), transport, stopping), headers=transport.headers)


async def beating(
    chunks: AsyncGenerator[str], transport: HTTPStreamTransport, stopping: asyncio.Event
) -> AsyncGenerator[str]:
    """With a heartbeat whenever nothing came for a while, until the end or until the service stops.

    Then the stream breaks off and does not complete, so that the client comes again.
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


def in_pieces(first: object, results: Results, *, legacy: bool) -> StreamingResponse:
    """What is there at once, and then the deferred parts as they come."""
    pieces, transport = Pieces(legacy=legacy), MultipartTransport()

    async def rest() -> AsyncGenerator[object]:
        yield pieces.of(first)
        async with aclosing(results):
            async for result in results:
                yield pieces.of(result)

    headers = {**transport.headers, "Cache-Control": "no-store"}
    return StreamingResponse(transport.stream(rest, encoded)(), headers=headers)
