"""OpenTelemetry's tracers, and the spans of requests, SQL statements, stages of scoring and operations.

`tracing` imports this module where traces are on. Spans hold neither values of users nor query strings nor
documents, which may have such values in them.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import extract
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext

MAX_STATEMENT = 2_000  # characters; values are not in the text


def sql_name(statement: str) -> str:
    return f"SQL {statement.split(maxsplit=1)[0].upper()}"


def sql_attributes(statement: str) -> dict[str, str]:
    return {"db.system.name": "postgresql", "db.query.text": statement[:MAX_STATEMENT]}


@dataclass(slots=True)
class Tracing:
    """The tracers of this process. `root` begins traces; `inner` adds spans to a trace, and begins none."""

    root: Tracer
    inner: Tracer
    providers: tuple[TracerProvider, ...]

    @classmethod
    def of(cls, default_name: Mapping[str, str]) -> "Tracing":
        """Send traces as the `OTEL_` variables of the environment say."""
        resource = Resource.create({**default_name, "service.version": version("marquee")})
        processor = BatchSpanProcessor(OTLPSpanExporter())
        providers = (
            TracerProvider(resource=resource, shutdown_on_exit=False),
            TracerProvider(sampler=ParentBased(ALWAYS_OFF), resource=resource, shutdown_on_exit=False),
        )
        for provider in providers:
            provider.add_span_processor(processor)
        root, inner = (provider.get_tracer("marquee") for provider in providers)
        return cls(root, inner, providers)

    def instrument(self, engine: Engine) -> None:
        """Trace the statements of an engine within requests."""

        def begin(
            _connection: Any, _cursor: Any, statement: str, _values: Any, execution: Any, _many: Any
        ) -> None:
            execution.span = self.inner.start_span(
                sql_name(statement), kind=SpanKind.CLIENT, attributes=sql_attributes(statement)
            )

        def end(
            _connection: Any, _cursor: Any, _statement: str, _values: Any, execution: Any, _many: Any
        ) -> None:
            execution.span.end()

        def fail(failure: ExceptionContext) -> None:
            span = getattr(failure.execution_context, "span", None)
            if span is not None:
                span.set_attribute("error.type", type(failure.original_exception).__name__)
                self.fail(span)
                span.end()

        event.listen(engine, "before_cursor_execute", begin)
        event.listen(engine, "after_cursor_execute", end)
        event.listen(engine, "handle_error", fail)

    @contextmanager
    def read(self, _connection: object, statement: str) -> Iterator[None]:
        """Trace a statement of `app.db.reads` within a request."""
        with self.inner.start_as_current_span(
            sql_name(statement),
            kind=SpanKind.CLIENT,
            attributes=sql_attributes(statement),
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except Exception as error:
                span.set_attribute("error.type", type(error).__name__)
                self.fail(span)
                raise

    def observe_stage(self, name: str, seconds: float) -> None:
        """Record a stage of scoring that has just ended."""
        ended = time.time_ns()
        self.inner.start_span(f"scorer {name}", start_time=ended - int(seconds * 1e9)).end(ended)

    def request_span(
        self, method: str, carried: Mapping[str, str], attributes: Mapping[str, str]
    ) -> AbstractContextManager[Span]:
        """Begin the trace of an HTTP request, or continue that of its headers `carried`."""
        return self.root.start_as_current_span(method, extract(carried), SpanKind.SERVER, attributes)

    @staticmethod
    def enter(span: Span) -> None:
        """Make a span the current one of this task, and of the tasks and threads that it starts."""
        context.attach(trace.set_span_in_context(span))

    @staticmethod
    def fail(span: Span) -> None:
        """Mark a span as failed."""
        span.set_status(StatusCode.ERROR)

    @staticmethod
    def ids() -> dict[str, Any]:
        """The ids of the current span, for a log line."""
        current = trace.get_current_span().get_span_context()
        if not current.is_valid:
            return {}
        return {"trace_id": f"{current.trace_id:032x}", "span_id": f"{current.span_id:016x}"}

    def stop(self) -> None:
        """Send the remaining spans. Blocks for seconds if the collector does not answer."""
        for provider in self.providers:
            provider.shutdown()
