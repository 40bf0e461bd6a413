"""One address for GraphQL over HTTP (the GraphQL foundation's draft), event streams and websockets."""

import asyncio
import hashlib
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.http import process_result
from strawberry.http.streaming import HTTPStreamTransport
from strawberry.schema import BaseSchema
from strawberry.schema.exceptions import InvalidOperationTypeError
from strawberry.types.execution import ExecutionResult, PreExecutionError
from strawberry.types.graphql import OperationType

from app.endpoint import websocket
from app.endpoint.accept import GRAPHQL_RESPONSE, Accept
from app.endpoint.documents import Documents
from app.endpoint.execution import results_of
from app.endpoint.operation import described, in_one_piece
from app.endpoint.request import GraphQLRequest, Refused, read
from app.endpoint.streams import EVENTS, MULTIPART_SUBSCRIPTION, in_pieces, streamed
from app.endpoint.websocket import ContextOf
from schema.context import bearer_token
from schema.errors import CallerError, ErrorCode

# Of requests that were not executed; 400 else.
STATUS = {
    ErrorCode.UNAUTHENTICATED.name: 401,
    ErrorCode.FORBIDDEN.name: 403,
    ErrorCode.RATE_LIMITED.name: 429,
    ErrorCode.INTERNAL.name: 500,
    ErrorCode.SERVICE_UNAVAILABLE.name: 503,
    ErrorCode.TIMEOUT.name: 504,
}
BY_METHOD = {"GET": {OperationType.QUERY}, "POST": {OperationType.QUERY, OperationType.MUTATION}}
VARY = {"Vary": "Accept, Authorization"}


class Endpoint:
    """`cache_seconds` is how long shared caches may keep what everyone who is signed out would be told;
    when `stopping` is set, streams break off.
    """

    def __init__(
        self,
        schema: BaseSchema,
        documents: Documents,
        context_of: ContextOf,
        *,
        cache_seconds: int,
        stopping: asyncio.Event,
    ) -> None:
        self.schema = schema
        self.documents = documents
        self.context_of = context_of
        self.stopping = stopping
        self.public = f"public, max-age={cache_seconds}" if cache_seconds else "no-store"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            socket = WebSocket(scope, receive, send)
            await websocket.serve(socket, self.schema, self.documents, self.context_of)
            return
        http = Request(scope, receive)
        accept = Accept.of(http.headers.get("accept", ""))
        try:
            request = await read(http)
            response = await self.answer(http, accept, request, self.documents.text(request))
        except Refused as refused:
            result = PreExecutionError(data=None, errors=[refused.error])
            response = in_one(result, accept, refused.status, refused.headers)
        except CallerError as error:
            response = in_one(PreExecutionError(data=None, errors=[error]), accept)
        await response(scope, receive, send)

    async def answer(self, http: Request, accept: Accept, request: GraphQLRequest, query: str) -> Response:
        """Raises Refused for an operation that cannot be asked in this way."""
        context = self.context_of(http, bearer_token(http))
        transport, allowed = carriage(http, accept, request, query)
        if transport is not None:
            results = results_of(self.schema, query, request, context, allowed)
            return streamed(results, transport, self.stopping)
        if not accept.incremental or (accept.legacy_incremental and "@stream" in query):
            query = in_one_piece(query)
        results = results_of(self.schema, query, request, context, allowed)
        first = await anext(results)
        if not isinstance(first, ExecutionResult):
            self.documents.executed(request)
            return in_pieces(first, results, legacy=accept.legacy_incremental)
        await results.aclose()
        if first.errors and isinstance(first.errors[0].original_error, InvalidOperationTypeError):
            raise wrong_carriage(first.errors[0].original_error.operation_type)
        if not isinstance(first, PreExecutionError):
            self.documents.executed(request)
        if http.method == "GET":
            return self.cacheable(http, accept, request, query, first)
        return in_one(first, accept)

    def cacheable(
        self, http: Request, accept: Accept, request: GraphQLRequest, query: str, result: ExecutionResult
    ) -> Response:
        """Public only when the client is signed out and everyone who is would be told the same."""
        operation = described(query, request.operation_name)
        if result.errors or operation is None or not operation.public or "authorization" in http.headers:
            return in_one(result, accept, headers=VARY)
        headers = {"Cache-Control": self.public, **VARY}
        response = in_one(result, accept, headers=headers)
        response.headers["ETag"] = etag = f'"{hashlib.blake2b(response.body, digest_size=16).hexdigest()}"'
        known = {tag.strip().removeprefix("W/") for tag in http.headers.get("if-none-match", "").split(",")}
        return Response(status_code=304, headers={**headers, "ETag": etag}) if etag in known else response


def carriage(
    http: Request, accept: Accept, request: GraphQLRequest, query: str
) -> tuple[HTTPStreamTransport | None, set[OperationType]]:
    """What carries the results where they are a stream, and the kinds of operations that may be asked so."""
    allowed = BY_METHOD[http.method]
    if accept.events or accept.multipart_subscription:
        operation = described(query, request.operation_name)
        subscribes = operation is not None and operation.kind is OperationType.SUBSCRIPTION
        if subscribes or accept.prefers_stream:
            transport = EVENTS if accept.events else MULTIPART_SUBSCRIPTION
            return transport, allowed | {OperationType.SUBSCRIPTION}
    return None, allowed


def wrong_carriage(kind: OperationType) -> Refused:
    if kind is OperationType.SUBSCRIPTION:
        return Refused("Subscribe with `Accept: text/event-stream`, or over a websocket.", 406)
    return Refused("Mutations need POST.", 405, {"Allow": "POST"})


def in_one(
    result: ExecutionResult, accept: Accept, status: int | None = None, headers: dict[str, str] | None = None
) -> Response:
    """An answer in one piece.

    Its media type decides the status of a request that was not executed: `application/json` may come from
    any intermediary, so that clients of it expect 200 with every well-formed request.
    """
    body: dict[str, Any] = dict(process_result(result))
    if status is None:
        status = 200
        # An error without a path is not of a field, but of the request: nothing was executed.
        if result.data is None and not any(error.path for error in result.errors or ()):
            del body["data"]
            if accept.json == GRAPHQL_RESPONSE:
                status = STATUS.get(code_of(body["errors"][0]), 400)
    else:
        del body["data"]
    headers = {"Cache-Control": "no-store", **(headers or {})}
    return Response(orjson.dumps(body), status, headers, f"{accept.json}; charset=utf-8")


def code_of(error: dict[str, Any]) -> str:
    code: str = error.get("extensions", {}).get("code", "")
    return code
