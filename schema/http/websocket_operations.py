"""The operations of one websocket, by the protocol `graphql-transport-ws`.

The client authenticates in the payload of `connection_init`, `{"Authorization": "Bearer ..."}` in any case,
or by that header of the handshake. `X-Marquee-Member`, the member for whom a key acts, is sent likewise.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import replace
from json import JSONDecodeError
from typing import Any, cast

import orjson
from graphql import GraphQLError
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.exceptions import ConnectionRejectionError
from strawberry.http.exceptions import NonJsonMessageReceived, NonTextMessageReceived
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import (
    BaseGraphQLTransportWSHandler,
    Operation,
)
from strawberry.subscriptions.protocols.graphql_transport_ws.types import Message
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType
from strawberry.types.unset import UNSET

from app.settings import Settings
from app.web.admission import Admission, Overloaded
from schema.core.errors import CallerError, ErrorCode, present
from schema.execution.actor import HEADER, Credentials
from schema.execution.context import Context
from schema.execution.documents import InvalidDocument
from schema.execution.executor import Executor, overloaded
from schema.execution.refusal import Refused
from schema.execution.request import GraphQLRequest, too_many_values
from schema.execution.telemetry import count_errors
from schema.http.incremental import Pieces, encoded
from schema.http.json_size import may_exceed
from schema.http.persisted_documents import Documents
from schema.http.request import LARGE, bound, credentials_of, token_in

MAX_OPERATIONS = 100  # at once, on one connection
SERVICE_RESTART = 1012
FINISH_SECONDS = 9.0  # for operations in progress when the process stops; the server waits a second longer

ContextOf = Callable[[HTTPConnection, Credentials], Context]


class SocketState:
    """The state that the operations of one websocket share. Each operation gets its own context."""

    def __init__(self, context_of: ContextOf, websocket: WebSocket) -> None:
        self.context_of = context_of
        self.websocket = websocket
        self.credentials = credentials_of(websocket)
        self.connection_params: dict[str, object] = {}

    def fresh_context(self) -> Context:
        return self.context_of(self.websocket, self.credentials)


HEAD = 300  # characters of a message within which clients write its id
ID = re.compile(r'"id":\s?"([^"\\]{1,200})"')


class Codec:
    """The JSON codec and the connection hook of the protocol's handler."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def decode_json(self, data: str) -> object:
        """Decode a message. The payload of an operation beyond the limits is the Refused that says so.

        A message with too many values is not decoded, but refused under its id.
        """
        if len(data) > LARGE and may_exceed(data.encode(), self.settings.max_json_values):
            found = ID.search(data[:HEAD])
            refused = too_many_values(self.settings)
            return found and {"type": "subscribe", "id": found[1], "payload": refused}
        message = orjson.loads(data)
        if isinstance(message, dict) and message.get("type") == "subscribe":
            try:
                bound(message, self.settings)
            except Refused as refused:
                message["payload"] = refused
        return message

    def encode_json(self, data: object) -> str:
        return encoded(data)

    async def on_ws_connect(self, connection: SocketState) -> object:
        params = {name.lower(): value for name, value in connection.connection_params.items()}
        if isinstance(sent := params.get("authorization"), str):
            connection.credentials = replace(connection.credentials, token=token_in(sent))
        if (member := params.get(HEADER.lower())) is not None:
            member = member if isinstance(member, str) else ""  # which is not valid
            connection.credentials = replace(connection.credentials, member=member)
        try:
            await connection.fresh_context().viewer()
        except CallerError:
            raise ConnectionRejectionError from None
        return UNSET


class Messages(ASGIWebSocketAdapter):
    """The messages of a websocket, in their order. Large ones are decoded outside of the event loop."""

    view: Any  # a Codec

    async def iter_json(self, *, ignore_parsing_errors: bool = False) -> AsyncGenerator[object, None]:
        try:
            while self.ws.application_state != WebSocketState.DISCONNECTED:
                text = await self.ws.receive_text()
                try:
                    if len(text) > LARGE:
                        message = await asyncio.to_thread(self.view.decode_json, text)
                    else:
                        message = self.view.decode_json(text)
                except JSONDecodeError as error:
                    if not ignore_parsing_errors:
                        raise NonJsonMessageReceived from error
                    continue
                yield message
        except KeyError as error:
            raise NonTextMessageReceived from error
        except WebSocketDisconnect:
            pass


class Handler(BaseGraphQLTransportWSHandler[Any, None]):
    documents: Documents
    executor: Executor
    admission: Admission
    stopping: asyncio.Event
    answering: set[Operation[Any, None]]  # the queries and mutations in progress
    answered: asyncio.Event

    async def handle_message(self, message: Any) -> None:
        """Treat a null member as absent, as graphql-ws does since 5.12."""
        if isinstance(message, dict):
            message = {name: value for name, value in message.items() if value is not None}
        if not isinstance(message, dict) or not isinstance(message.get("id", ""), str):
            await self.handle_invalid_message("A message must be an object, and its id a string")
            return
        await super().handle_message(cast("Message", message))

    async def handle_subscribe(self, message: Any) -> None:
        if self.stopping.is_set():
            return  # the client sends it again once it has connected to another process
        if self.connection_acknowledged:
            try:
                if len(self.operations) >= MAX_OPERATIONS:
                    raise too_many(len(self.operations) + 1)
                if isinstance(message["payload"], Refused):
                    raise message["payload"]
                request = GraphQLRequest.of(message["payload"])
                query = self.documents.text(request)
            except (Refused, CallerError) as refused:
                error = refused.error if isinstance(refused, Refused) else refused
                count_errors([error])
                await self.send_message({"id": message["id"], "type": "error", "payload": [error.formatted]})
                return
            operation = {"query": query, "operationName": request.operation_name}
            message = {**message, "payload": {**message["payload"], **operation}}
        await super().handle_subscribe(message)

    async def run_operation(self, operation: Operation[Any, None]) -> None:
        self.answering.add(operation)
        try:
            await self.answer(operation)
        finally:
            self.has_answered(operation)

    def has_answered(self, operation: Operation[Any, None]) -> None:
        self.answering.discard(operation)
        self.answered.set()

    async def close_at_restart(self) -> None:
        """Close the connection when the process stops and the queries and mutations have ended."""
        await self.stopping.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(FINISH_SECONDS):
                while self.answering:
                    self.answered.clear()
                    await self.answered.wait()
        await self.websocket.close(SERVICE_RESTART, "The service restarts: connect again.")

    async def answer(self, operation: Operation[Any, None]) -> None:
        try:
            turn = await self.admission.admitted()
        except Overloaded as refused:
            count_errors([error := overloaded(refused)])
            await operation.send_initial_errors([error])
            return
        request = GraphQLRequest(
            operation.query, operation.operation_name, operation.variables, extensions=None, document_id=None
        )
        context = self.context.fresh_context()
        try:
            document = await self.executor.read(operation.query, context)
        except Exception as cause:  # noqa: BLE001 - a fault of ours has a code and is logged
            turn.end()
            await operation.send_initial_errors(errors_of(cause))
            return
        if document.kind(operation.operation_name) is OperationType.SUBSCRIPTION:
            self.has_answered(operation)
        results = self.executor.results(document, request, context, turn)
        pieces = Pieces()
        async with aclosing(results):
            async for result in results:
                if isinstance(result, PreExecutionError):
                    await operation.send_initial_errors(result.errors or [])
                    return
                payload: Any = pieces.of(result)
                await operation.send_operation_message(
                    {"id": operation.id, "type": "next", "payload": payload}
                )
        await operation.send_operation_message({"id": operation.id, "type": "complete"})


def errors_of(cause: Exception) -> list[GraphQLError]:
    if isinstance(cause, InvalidDocument):
        return cause.errors  # counted when they were read
    fault = present(GraphQLError(str(cause), original_error=cause))
    count_errors([fault])
    return [fault]


def too_many(asked: int) -> CallerError:
    return CallerError(
        f"A websocket has {MAX_OPERATIONS} operations at most: complete one before the next.",
        ErrorCode.RATE_LIMITED,
        limit=MAX_OPERATIONS,
        asked=asked,
    )
