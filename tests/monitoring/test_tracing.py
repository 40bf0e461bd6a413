"""Traces of a live service, as a collector receives them over HTTP."""

import gzip
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from app.telemetry import tracing
from tests.conftest import ROOT
from tests.monitoring.conftest import RANKED, RATE, Client, StartClient
from tests.services import StartServer

pytest.importorskip("opentelemetry.sdk", reason="the extra `otel` is not installed")
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SECONDS = 60


@dataclass(slots=True)
class Collector:
    """A collector of OTLP over HTTP. `spans`: those received, with the attributes of their process."""

    url: str = ""
    spans: list[Any] = field(default_factory=list)
    services: list[dict[str, str]] = field(default_factory=list)

    def receive(self, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        for process in request.resource_spans:
            self.services.append({each.key: each.value.string_value for each in process.resource.attributes})
            for scope in process.scope_spans:
                self.spans.extend(scope.spans)

    def wait_for(self, name: str, trace_id: str | None = None) -> list[Any]:
        """All spans of the trace of the first span of this name, once it has arrived."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            for span in list(self.spans):
                if span.name == name and trace_id in (None, span.trace_id.hex()):
                    time.sleep(0.5)  # the spans of one batch, and those that ended with it
                    return [each for each in self.spans if each.trace_id == span.trace_id]
            time.sleep(0.1)
        raise AssertionError(f"no span {name} among {sorted({span.name for span in self.spans})}")


@pytest.fixture
def collector() -> Iterator[Collector]:
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            assert self.path == "/v1/traces"
            found.receive(body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield found
    server.shutdown()
    thread.join()


@pytest.fixture
def traced(seeded_database_url: str, start_client: StartClient, collector: Collector) -> Client:
    return start_client(
        seeded_database_url,
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_BSP_SCHEDULE_DELAY="100",
        LOG_FORMAT="json",
        LOG_LEVEL="debug",
    )


def attributes(span: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes}


def test_a_trace_goes_through_http_graphql_sql_and_scorer(traced: Client, collector: Collector) -> None:
    traced.sign_up()
    (movie, *_) = traced.show(click=False)
    traced.ask(RATE, id=movie, stars=5)
    traced.ask(RANKED)
    spans = {span.name: span for span in collector.wait_for("query Ranked")}
    http, operation = spans["POST"], spans["query Ranked"]
    assert operation.parent_span_id == http.span_id
    assert not http.parent_span_id
    assert attributes(http)["http.response.status_code"] == 200
    assert attributes(operation)["graphql.operation.name"] == "Ranked"
    statements = [span for name, span in spans.items() if name.startswith("SQL SELECT")]
    assert statements, sorted(spans)
    by_id = {span.span_id for span in spans.values()}
    assert all(span.parent_span_id in by_id for span in statements)
    for stage in ("scorer fold_in", "scorer scan", "scorer rerank", "scorer predict", "scorer explain"):
        assert spans[stage].parent_span_id == operation.span_id, stage
        assert operation.start_time_unix_nano <= spans[stage].start_time_unix_nano
        assert spans[stage].end_time_unix_nano <= operation.end_time_unix_nano
    assert collector.services[0]["service.name"] == "marquee"


def test_a_trace_of_the_client_is_continued_and_is_in_the_log(
    seeded_database_url: str, start_server: StartServer, collector: Collector
) -> None:
    service = start_server(
        seeded_database_url,
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_BSP_SCHEDULE_DELAY="100",
        OTEL_SERVICE_NAME="movies",
        LOG_FORMAT="json",
        LOG_LEVEL="debug",
    )
    import httpx  # noqa: PLC0415

    sent = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "X-Request-Id": "of-a-trace"}
    query = {
        "query": "query Me($name: String!) { movies(first: 1, filter: {people: [$name]}) { totalCount } }"
    }
    secret = "a value of a user"
    httpx.post(
        f"{service.url}/graphql", json={**query, "variables": {"name": secret}}, headers=sent
    ).raise_for_status()
    spans = collector.wait_for("POST", TRACE)
    (http,) = [span for span in spans if span.name == "POST"]
    assert http.parent_span_id.hex() == "00f067aa0ba902b7"
    assert attributes(http)["marquee.request_id"] == "of-a-trace"
    assert secret not in str(collector.spans)
    assert collector.services[0]["service.name"] == "movies"
    lines = [json.loads(line) for line in service.log.read_text().splitlines()]
    (line,) = [line for line in lines if line.get("request_id") == "of-a-trace"]
    assert line["trace_id"] == TRACE


def test_errors_are_in_their_span_and_background_statements_begin_no_trace(
    traced: Client, collector: Collector
) -> None:
    traced.ask("query Twice { viewer { id } }")
    traced.ask("query Twice { viewer { id } }")
    traced.ask("mutation Refused { rateMovie(input: {movieId: 1, stars: 3}) { __typename } }")
    traced.ask("mutation Refused { rateMovie(input: {movieId: 1, stars: 3}) { __typename } }")
    refused = collector.wait_for("mutation Refused")
    (span,) = [span for span in refused if span.name == "mutation Refused"]
    assert "UNAUTHENTICATED" in str(attributes(span)["graphql.error.codes"])
    time.sleep(1.5)  # the catalog is polled twice a second
    roots = {span.name for span in collector.spans if not span.parent_span_id}
    assert roots == {"POST"}


def test_a_collector_that_is_down_harms_no_request(
    seeded_database_url: str, start_client: StartClient
) -> None:
    client = start_client(
        seeded_database_url,
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
        OTEL_BSP_SCHEDULE_DELAY="100",
    )
    client.sign_up()
    (movie, *_) = client.show(click=False)
    for _ in range(20):
        assert "errors" not in client.ask(RATE, id=movie, stars=4)


def test_what_cannot_be_sent_is_refused_at_the_start(
    seeded_database_url: str, start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RuntimeError, match="OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf, not grpc"):
        start_server(
            seeded_database_url,
            OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
            OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
        )
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(tracing.NoTraces, match=r"pip install 'opentelemetry"):
        tracing.start()


def test_the_service_works_without_opentelemetry() -> None:
    check = "import sys; sys.modules['opentelemetry'] = None; import app.main"
    subprocess.run([sys.executable, "-c", check], cwd=ROOT, check=True)
