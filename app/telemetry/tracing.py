"""OpenTelemetry traces of HTTP requests, GraphQL operations, SQL statements and stages of scoring.

They are active where OTEL_EXPORTER_OTLP_ENDPOINT is set; otherwise OpenTelemetry is not even imported. Spans
hold neither values of users nor query strings nor documents, which may have such values in them.
"""

import os
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.telemetry import logs

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

MAX_STATEMENT = 2_000  # characters; values are not in the text
TRACED = "/graphql"  # not health checks, which would be most traces
CARRIED = (b"traceparent", b"tracestate")


class NoTraces(Exception):
    """Traces are requested but cannot be sent. The message names the setting and the remedy."""


@dataclass(slots=True)
class Tracing:
    """The tracers of this process. `root` begins traces; `inner` adds spans to a trace, and begins none."""

    root: "Tracer"
    inner: "Tracer"
    providers: tuple["TracerProvider", ...]

    def instrument(self, engine: Engine) -> None:
        """Trace the statements of an engine within requests."""
        from opentelemetry.trace import SpanKind, StatusCode  # noqa: PLC0415 - an extra

        def begin(
            _connection: Any, _cursor: Any, statement: str, _values: Any, execution: Any, _many: Any
        ) -> None:
            attributes = {"db.system.name": "postgresql", "db.query.text": statement[:MAX_STATEMENT]}
            verb = statement.split(maxsplit=1)[0].upper()
            execution.span = self.inner.start_span(f"SQL {verb}", kind=SpanKind.CLIENT, attributes=attributes)

        def end(
            _connection: Any, _cursor: Any, _statement: str, _values: Any, execution: Any, _many: Any
        ) -> None:
            execution.span.end()

        def fail(context: ExceptionContext) -> None:
            span = getattr(context.execution_context, "span", None)
            if span is not None:
                span.set_attribute("error.type", type(context.original_exception).__name__)
                span.set_status(StatusCode.ERROR)
                span.end()

        event.listen(engine, "before_cursor_execute", begin)
        event.listen(engine, "after_cursor_execute", end)
        event.listen(engine, "handle_error", fail)

    def observe_stage(self, name: str, seconds: float) -> None:
        """Record a stage of scoring that has just ended."""
        ended = time.time_ns()
        self.inner.start_span(f"scorer {name}", start_time=ended - int(seconds * 1e9)).end(ended)

    def stop(self) -> None:
        """Send the remaining spans. Blocks for seconds if the collector does not answer."""
        for provider in self.providers:
            provider.shutdown()


active: list[Tracing] = []  # at most one


def start() -> Tracing:
    """Send traces as the `OTEL_` variables of the environment say. Raises NoTraces."""
    if (protocol := os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")) != "http/protobuf":
        raise NoTraces(f"OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf, not {protocol}.")
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - an extra, as the others
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased  # noqa: PLC0415
    except ImportError:
        message = "OTEL_EXPORTER_OTLP_ENDPOINT needs OpenTelemetry: pip install marquee[otel]"
        raise NoTraces(message) from None
    named = {} if "OTEL_SERVICE_NAME" in os.environ else {"service.name": "marquee"}
    resource = Resource.create({**named, "service.version": version("marquee")})
    processor = BatchSpanProcessor(OTLPSpanExporter())
    providers = (
        TracerProvider(resource=resource, shutdown_on_exit=False),
        TracerProvider(sampler=ParentBased(ALWAYS_OFF), resource=resource, shutdown_on_exit=False),
    )
    for provider in providers:
        provider.add_span_processor(processor)
    root, inner = (provider.get_tracer("marquee") for provider in providers)
    tracing = Tracing(root, inner, providers)
    active[:] = [tracing]
    logs.members[:] = [ids]
    return tracing


def ids() -> dict[str, Any]:
    """The ids of the current span, for a log line."""
    from opentelemetry import trace  # noqa: PLC0415 - an extra

    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}


class HttpSpans:
    """Begins the trace of an HTTP request, or continues that of its `traceparent`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != TRACED or not active:
            await self.app(scope, receive, send)
            return
        from opentelemetry.propagate import extract  # noqa: PLC0415 - an extra
        from opentelemetry.trace import SpanKind, StatusCode  # noqa: PLC0415 - likewise

        carried = {
            name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in CARRIED
        }
        attributes = {
            "http.request.method": scope["method"],
            "url.path": scope["path"],
            "url.scheme": scope["scheme"],
            "marquee.request_id": logs.REQUEST_ID.get() or "",
        }
        with active[0].root.start_as_current_span(
            scope["method"], extract(carried), SpanKind.SERVER, attributes
        ) as span:

            async def send_noted(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    if message["status"] >= 500:  # noqa: PLR2004 - faults of the service
                        span.set_status(StatusCode.ERROR)
                await send(message)

            await self.app(scope, receive, send_noted)


@dataclass(slots=True)
class OperationSpan:
    """The span of an operation, whose results may be made in several tasks."""

    span: "Span | None" = None
    codes: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, kind: str, name: str | None) -> "OperationSpan":
        """Begin the span of an operation; without effect where there are no traces."""
        if not active:
            return cls()
        attributes = {
            "graphql.operation.type": kind,
            **({} if name is None else {"graphql.operation.name": name}),
        }
        found = cls(
            active[0].root.start_span(kind if name is None else f"{kind} {name}", attributes=attributes)
        )
        found.enter()
        return found

    def enter(self) -> None:
        """Make it the current span of this task, and of the tasks and threads that it starts."""
        if self.span is not None:
            from opentelemetry import context, trace  # noqa: PLC0415 - an extra

            context.attach(trace.set_span_in_context(self.span))

    def end(self) -> None:
        if self.span is not None:
            if self.codes:
                self.span.set_attribute("graphql.error.codes", sorted(self.codes))
            self.span.end()
