"""GraphQL over websockets: the open connections, from handshake to close."""

import asyncio
import logging
from collections import Counter
from datetime import timedelta
from typing import Any

from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocket
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from app.telemetry import metrics
from app.web.admission import Admission, Overloaded
from app.web.client import client_of
from app.web.rate_limits import RateLimited
from app.web.security import is_foreign
from schema.execution.executor import Executor, overloaded
from schema.execution.telemetry import count_errors
from schema.http.persisted_documents import Documents
from schema.http.websocket_operations import MAX_OPERATIONS, Codec, ContextOf, Handler, Messages, SocketState

INIT_SECONDS = timedelta(seconds=10)
POLICY_VIOLATION = 1008
NO_SUCH_PROTOCOL = 4406

log = logging.getLogger("marquee.websocket")


class Sockets:
    """The open websockets."""

    def __init__(
        self,
        executor: Executor,
        documents: Documents,
        context_of: ContextOf,
        admission: Admission,
        stopping: asyncio.Event,
    ) -> None:
        self.executor = executor
        self.documents = documents
        self.context_of = context_of
        self.admission = admission
        self.stopping = stopping
        self.open: Counter[str] = Counter()  # by network

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one connection, from handshake to close."""
        network = client_of(websocket).network
        try:
            self.admission.check()
        except Overloaded as refused:
            count_errors([overloaded(refused)])
            headers = {"Retry-After": str(refused.wait_seconds)}
            await websocket.send_denial_response(PlainTextResponse(str(refused), 503, headers))
            return
        if not await self.admits(websocket, network):
            await websocket.close(POLICY_VIOLATION)  # before it is accepted: the handshake is answered by 403
            return
        if GRAPHQL_TRANSPORT_WS_PROTOCOL not in websocket["subprotocols"]:
            await websocket.accept()
            await websocket.close(NO_SUCH_PROTOCOL, "Subprotocol not acceptable")
            return
        self.open[network] += 1
        try:
            await websocket.accept(GRAPHQL_TRANSPORT_WS_PROTOCOL)
            handler = self.handler(websocket)
            closing = asyncio.create_task(handler.close_at_restart())
            try:
                await handler.handle()
            finally:
                closing.cancel()
        finally:
            self.open[network] -= 1
            if not self.open[network]:
                del self.open[network]

    async def admits(self, websocket: WebSocket, network: str) -> bool:
        settings = self.executor.documents.settings
        if is_foreign(websocket, settings):
            log.warning("refused a websocket from a page of %r", websocket.headers.get("origin"))
            return False
        try:
            await websocket.state.rates.request(network)
        except RateLimited as limited:
            metrics.limits_hit.labels(limited.charge.setting).inc()
            return False
        if self.open[network] >= settings.max_connections_per_address:
            metrics.limits_hit.labels("MAX_CONNECTIONS_PER_ADDRESS").inc()
            return False
        return True

    def handler(self, websocket: WebSocket) -> Handler:
        codec: Any = Codec(self.executor.documents.settings)
        handler = Handler(
            view=codec,
            websocket=Messages(codec, websocket, websocket),
            context=SocketState(self.context_of, websocket),
            root_value=None,
            schema=self.executor.schema,
            connection_init_wait_timeout=INIT_SECONDS,
            max_subscriptions_per_connection=MAX_OPERATIONS,
        )
        handler.documents = self.documents
        handler.executor = self.executor
        handler.admission = self.admission
        handler.stopping = self.stopping
        handler.answering, handler.answered = set(), asyncio.Event()
        return handler
