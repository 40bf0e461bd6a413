"""The outermost layer of the application: the id, the security headers and the count of each response."""

import logging
import time

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.settings import Settings
from app.telemetry import metrics
from app.telemetry.logs import REQUEST_ID
from app.telemetry.tracing import HttpSpans
from app.web.request_ids import HEADER, id_of
from app.web.security import PREFLIGHT_SECONDS, READABLE, AllowedHosts, headers_of, listed

STARTS = ("http.response.start", "websocket.accept", "websocket.http.response.start")

log = logging.getLogger("marquee.http")


class Responses:
    """Takes the client's or proxy's id of a request, or makes one, and adds it to the response.

    Adds the security headers that a response over HTTP does not set, and counts the responses.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        request_id = id_of(scope)
        # Not reset: the server has a task for each request, and logs a failure after this call.
        REQUEST_ID.set(request_id)
        began = time.perf_counter()
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] in STARTS:
                started = True
                headers = [*message.get("headers", ()), (HEADER, request_id.encode())]
                if kind == "http":
                    given = dict(headers)
                    headers += [header for header in headers_of(scope) if header[0] not in given]
                message["headers"] = headers
                if (status := message.get("status")) is not None:
                    metrics.responses_of(status).inc()
                    if log.isEnabledFor(logging.DEBUG):
                        note(scope, status, began)
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        except Exception:
            if not started and kind == "http":
                headers = [(b"content-type", b"text/plain; charset=utf-8")]
                await send_with_headers({"type": "http.response.start", "status": 500, "headers": headers})
                await send_with_headers({"type": "http.response.body", "body": b"Internal Server Error"})
            raise


def note(scope: Scope, status: int, began: float) -> None:
    """Log a response, without the query string, which holds values."""
    spent = 1000 * (time.perf_counter() - began)
    log.debug("%s %s: %d in %.1f ms", scope.get("method", "GET"), scope["path"], status, spent)


class Application(Starlette):
    """An application without Starlette's layer for faults: `Responses` answers them."""

    def build_middleware_stack(self) -> ASGIApp:
        app: ASGIApp = ExceptionMiddleware(self.router, handlers=self.exception_handlers)
        for layer, arguments, options in reversed(self.user_middleware):
            app = layer(app, *arguments, **options)
        return app


def layers(settings: Settings) -> list[Middleware]:
    """The layers for ids and headers, traces, hosts and CORS, outermost first."""
    found = [Middleware(Responses)]
    if settings.otel_exporter_otlp_endpoint is not None:
        found.append(Middleware(HttpSpans))
    if (hosts := listed(settings.allowed_hosts)) and "*" not in hosts:
        found.append(Middleware(AllowedHosts, allowed_hosts=hosts, www_redirect=False))
    if origins := listed(settings.allowed_origins):
        cors = Middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=READABLE,
            max_age=PREFLIGHT_SECONDS,
        )
        found.append(cors)
    return found
