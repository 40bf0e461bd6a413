"""OpenTelemetry traces of HTTP requests, GraphQL operations, SQL statements and stages of scoring.

They are active where OTEL_EXPORTER_OTLP_ENDPOINT is set; otherwise OpenTelemetry is not even imported.
"""

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.telemetry import logs
from recommender.extras import install_command

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from app.telemetry.tracers import Tracing

TRACED = "/graphql"  # not health checks, which would be most traces
CARRIED = (b"traceparent", b"tracestate")


class NoTraces(Exception):
    """Traces are requested but cannot be sent. The message names the setting and the remedy."""


active: "list[Tracing]" = []  # at most one


def start() -> "Tracing":
    """Send traces as the `OTEL_` variables of the environment say. Raises NoTraces."""
    if (protocol := os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")) != "http/protobuf":
        raise NoTraces(f"OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf, not {protocol}.")
    try:
        from app.telemetry import tracers  # noqa: PLC0415 - an extra
    except ImportError:
        message = f"OTEL_EXPORTER_OTLP_ENDPOINT needs the extra `otel`: {install_command('otel')}"
        raise NoTraces(message) from None
    tracing = tracers.Tracing.of({} if "OTEL_SERVICE_NAME" in os.environ else {"service.name": "marquee"})
    active[:] = [tracing]
    logs.members[:] = [tracing.ids]
    return tracing


class HttpSpans:
    """Begins the trace of an HTTP request, or continues that of its `traceparent`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != TRACED or not active:
            await self.app(scope, receive, send)
            return
        tracing = active[0]
        carried = {
            name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in CARRIED
        }
        attributes = {
            "http.request.method": scope["method"],
            "url.path": scope["path"],
            "url.scheme": scope["scheme"],
            "marquee.request_id": logs.REQUEST_ID.get() or "",
        }
        with tracing.request_span(scope["method"], carried, attributes) as span:

            async def send_noted(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    if message["status"] >= 500:  # noqa: PLR2004 - faults of the service
                        tracing.fail(span)
                await send(message)

            await self.app(scope, receive, send_noted)


@dataclass(slots=True)
class OperationSpan:
    """The span of an operation, whose results may be made in several tasks."""

    span: "Span"
    codes: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, kind: str, name: str) -> "OperationSpan":
        """Begin the span of an operation, where traces are active."""
        attributes = {"graphql.operation.type": kind, "graphql.operation.name": name}
        begun = cls(active[0].root.start_span(f"{kind} {name}", attributes=attributes))
        begun.enter()
        return begun

    def enter(self) -> None:
        """Make it the current span of this task, and of the tasks and threads that it starts."""
        active[0].enter(self.span)

    def end(self) -> None:
        if self.codes:
            self.span.set_attribute("graphql.error.codes", sorted(self.codes))
        self.span.end()
