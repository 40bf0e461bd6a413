"""The id of a request, in `X-Request-Id` and in each log line of the request; and the count of responses."""

import logging
import os
import re
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.telemetry import metrics
from app.telemetry.logs import REQUEST_ID

HEADER = b"x-request-id"
ACCEPTED = re.compile(rb"[A-Za-z0-9._-]{1,128}")  # nothing that a log or a header would have to escape
STARTS = ("http.response.start", "websocket.accept", "websocket.http.response.start")

log = logging.getLogger("marquee.http")


class RequestIds:
    """Takes the client's or proxy's id of a request, or makes one, and adds it to the response."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        request_id = id_of(scope)
        # Not reset: the server has a task for each request, and logs a failure after this call.
        REQUEST_ID.set(request_id)
        began = time.perf_counter()
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] in STARTS:
                started = True
                message["headers"] = [*message.get("headers", ()), (HEADER, request_id.encode())]
                if (status := message.get("status")) is not None:
                    metrics.responses_of(status).inc()
                    if log.isEnabledFor(logging.DEBUG):  # without the query string, which holds values
                        spent = 1000 * (time.perf_counter() - began)
                        method = scope.get("method", "GET")
                        log.debug("%s %s: %d in %.1f ms", method, scope["path"], status, spent)
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except Exception:
            if not started and scope["type"] == "http":
                headers = [(b"content-type", b"text/plain; charset=utf-8")]
                await send_with_id({"type": "http.response.start", "status": 500, "headers": headers})
                await send_with_id({"type": "http.response.body", "body": b"Internal Server Error"})
            raise


def id_of(scope: Scope) -> str:
    """The id that was sent, if it is short and plain; else a new one."""
    for name, value in scope["headers"]:
        if name == HEADER:
            if ACCEPTED.fullmatch(value):
                sent: str = value.decode()
                return sent
            break
    return new_id()


def new_id() -> str:
    return os.urandom(16).hex()
