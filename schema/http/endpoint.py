"""The endpoint of GraphQL over HTTP (the GraphQL Foundation's draft), event streams and websockets."""

import asyncio
import hashlib
from collections.abc import Awaitable, Coroutine, Mapping
from typing import Any

from graphql import GraphQLError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry import Schema
from strawberry.http.streaming import HTTPStreamTransport
from strawberry.schema.exceptions import InvalidOperationTypeError
from strawberry.types.execution import ExecutionResult, PreExecutionError
from strawberry.types.graphql import OperationType
from werkzeug.http import parse_etags

from app.settings import Settings
from app.web.admission import Admission, Overloaded, Turn
from app.web.rate_limits import RateLimited
from app.web.security import is_foreign
from schema.core.errors import CallerError, ErrorCode, present
from schema.execution.begun import Begun
from schema.execution.compiled.compiler import Compiler
from schema.execution.context import Context
from schema.execution.deadline import Results
from schema.execution.documents import DocumentCache, InvalidDocument
from schema.execution.executor import Executor, overloaded, rate_limited
from schema.execution.refusal import Refused
from schema.execution.request import GraphQLRequest
from schema.execution.telemetry import count_errors
from schema.http.content_negotiation import Accept
from schema.http.incremental import EVENTS, MULTIPART_SUBSCRIPTION, in_pieces, streamed
from schema.http.persisted_documents import Documents, PersistedDocuments, TrustedDocuments
from schema.http.request import IndexedRequest, WhilePresent, credentials_of, read
from schema.http.websocket import Sockets
from schema.http.websocket_operations import ContextOf
from schema.http.whole import json_response, retry_after

QUERIES = frozenset({OperationType.QUERY})
BY_METHOD = {"GET": QUERIES, "HEAD": QUERIES, "POST": QUERIES | {OperationType.MUTATION}}
Step = Coroutine[Any, Any, Any]
VARY = {"Vary": "Accept, Authorization"}
# The tokens that some mutations return must not be compressed, here or by a proxy.
SECRET = {"Cache-Control": "no-store, no-transform"}


class Endpoint:
    """The ASGI application of `/graphql`. When `stopping` is set, streams break off."""

    def __init__(
        self,
        schema: Schema,
        trusted: TrustedDocuments | None,
        context_of: ContextOf,
        *,
        settings: Settings,
        admission: Admission,
        stopping: asyncio.Event,
        own: Mapping[str, str] | None = None,
    ) -> None:
        """`own`: the documents of the web app, by hash."""
        self.settings = settings
        core = schema._schema  # noqa: SLF001 - graphql-core's
        compiler = Compiler(core) if settings.compiled_operations else None
        self.executor = Executor(schema, DocumentCache(core, settings), compiler)
        self.documents: Documents = trusted or PersistedDocuments(self.executor.documents, own or {})
        self.context_of = context_of
        self.admission = admission
        self.sockets = Sockets(self.executor, self.documents, context_of, admission, stopping)
        self.stopping = stopping
        seconds = settings.cache_seconds
        self.public = f"public, max-age={seconds}" if seconds else "no-store"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self.sockets.serve(WebSocket(scope, receive, send))
            return
        http = IndexedRequest(scope, receive)
        context = self.context_of(http, credentials_of(http))
        turns: list[Turn] = []
        try:
            response = await self.response(http, context, turns)
            if response is None:
                return
            if context.budget is not None:
                response.raw_headers.extend(await context.budget.fields())
            await response(scope, receive, send)
        finally:
            for turn in turns:
                turn.end()

    async def response(self, http: IndexedRequest, context: Context, turns: list[Turn]) -> Response | None:
        """The response; None where the client has left. `turns`: gets the turn, for the caller to end."""
        accept = Accept()
        try:
            accept = Accept.of(http.joined(b"accept"))
            self.admission.check()
            await self.admit(http, context)
            request = await read(http, self.settings)
            query = self.documents.text(request)
            turn = await self.admission.admitted()
            turns.append(turn)
            return await self.answer(http, accept, request, query, context, turn)
        except Refused as refused:
            return json_response(not_executed(refused.error), accept, refused.status, refused.headers)
        except Overloaded as refused:
            result = not_executed(overloaded(refused))
            return json_response(result, accept, 503, retry_after(refused.wait_seconds))
        except GraphQLError as error:
            return json_response(not_executed(present(error)), accept)
        except ClientDisconnect:
            return None
        except Exception as cause:  # noqa: BLE001 - a fault of ours has a code and is logged
            fault = present(GraphQLError(str(cause), original_error=cause))
            return json_response(not_executed(fault), accept, 500)

    async def admit(self, http: IndexedRequest, context: Context) -> None:
        """Raises Refused for a page of a foreign origin and for a client beyond its rate, and CallerError for
        an invalid id of a member.
        """
        if b"origin" in http.fields and is_foreign(http, self.settings):
            message = f"Pages of {http.headers['origin']} may not ask here (ALLOWED_ORIGINS)."
            raise Refused(CallerError(message, ErrorCode.FORBIDDEN), 403)
        if context.budget is not None:
            try:
                await context.budget.request(context.client.network)
            except RateLimited as limited:
                raise Refused(rate_limited(limited), 429, retry_after(limited.wait_seconds)) from None
        if context.credentials.member is not None:
            context.credentials.check()

    async def answer(
        self,
        http: IndexedRequest,
        accept: Accept,
        request: GraphQLRequest,
        query: str,
        context: Context,
        turn: Turn,
    ) -> Response:
        """Raises Refused for an operation that the method or the media type does not allow, and
        ClientDisconnect for a query whose client has left.
        """
        try:  # within its limits, before anything else looks at it
            document = self.executor.documents.known(query) or await self.executor.read(query, context)
        except InvalidDocument as invalid:
            return self.refused(PreExecutionError(data=None, errors=invalid.errors), accept)
        operation = document.operation(request.operation_name)
        kind = None if operation is None else operation.kind
        method: str = http.scope["method"]
        allowed = BY_METHOD[method]
        if accept.prefers_stream or (kind is OperationType.SUBSCRIPTION and accept.streams):
            allowed = allowed | {OperationType.SUBSCRIPTION}
            if context.budget is not None:  # its headers, with the remainder, precede the operation
                context.budget.payer = await context.authentication.payer()
            stream = self.executor.results(document, request, context, turn, allowed)
            return streamed(stream, stream_transport(accept), self.stopping)
        whole = not accept.incremental or (accept.legacy_incremental and "stream" in query)
        context.spliced = whole or document.whole is document.ast
        executed = self.executor.executed(document, request, context, turn, allowed, whole=whole)
        first, others = await while_present(http, kind, executed)
        if others is not None:
            first = await while_present(http, kind, anext(others))
            if not isinstance(first, ExecutionResult):
                return in_pieces(first, others, legacy=accept.legacy_incremental)
            await others.aclose()
        if first.errors and isinstance(first.errors[0].original_error, InvalidOperationTypeError):
            raise wrong_transport(first.errors[0].original_error.operation_type)
        if method != "POST":
            return self.cacheable(http, accept, first, public=operation is not None and operation.public)
        return json_response(first, accept, headers=SECRET if kind is OperationType.MUTATION else None)

    def refused(self, result: PreExecutionError, accept: Accept) -> Response:
        if accept.prefers_stream:
            return streamed(single(result), stream_transport(accept), self.stopping)
        return json_response(result, accept)

    def cacheable(self, http: Request, accept: Accept, result: ExecutionResult, *, public: bool) -> Response:
        """The response to a GET: public only where each signed-out client would get the same."""
        if result.errors or not public or "authorization" in http.headers:
            return json_response(result, accept, headers=VARY)
        headers = {"Cache-Control": self.public, **VARY}
        # The same bytes for each client: the measured cost of this execution does not concern the others.
        (result.extensions or {}).get("cost", {}).pop("actual", None)
        response = json_response(result, accept, headers=headers)
        response.headers["ETag"] = etag = f'"{hashlib.blake2b(response.body, digest_size=16).hexdigest()}"'
        if parse_etags(http.headers.get("if-none-match")).contains_weak(etag.strip('"')):
            return Response(status_code=304, headers={**headers, "ETag": etag})
        return response


async def while_present(http: Request, kind: OperationType | None, operation: Step) -> Any:
    """The result of an operation; raises ClientDisconnect when the client of a query has left.

    Mutations go on to the end.
    """
    begun = Begun(operation)
    if begun.ended:
        return begun.value
    if kind is not OperationType.QUERY:
        return await begun
    async with WhilePresent(http):
        return await begun


class AtPath:
    """Serves GraphQL at a path, before Starlette looks for a route.

    `api` serves requests by POST, `others` those by other methods, which may ask for a page.
    """

    def __init__(self, app: ASGIApp, path: str, api: ASGIApp, others: ASGIApp) -> None:
        self.app, self.path, self.api, self.others = app, path, api, others

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope.get("path") != self.path:
            return self.app(scope, receive, send)
        serve = self.api if scope.get("method") == "POST" else self.others
        return serve(scope, receive, send)


def stream_transport(accept: Accept) -> HTTPStreamTransport:
    return EVENTS if accept.events else MULTIPART_SUBSCRIPTION


def not_executed(error: GraphQLError) -> PreExecutionError:
    """The counted result of a request that is refused."""
    count_errors([error])
    return PreExecutionError(data=None, errors=[error])


async def single(result: ExecutionResult) -> Results:
    yield result


def wrong_transport(kind: OperationType) -> Refused:
    if kind is OperationType.SUBSCRIPTION:
        return Refused("Subscribe with `Accept: text/event-stream`, or over a websocket.", 406)
    return Refused("Mutations need POST.", 405, {"Allow": "POST"})
