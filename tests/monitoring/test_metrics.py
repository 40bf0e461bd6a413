"""The metrics of a live service: counted once, with bounded labels, on a port of their own."""

import json
import re
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import psycopg
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from schema.execution.telemetry import MAX_NAMES, OTHER, OperationNames
from tests.conftest import ROOT
from tests.monitoring.conftest import LIST, RANKED, RATE, Client, StartClient
from tests.services import StartServer


def test_operations_are_timed_by_name_and_type(client: Client) -> None:
    client.sign_up()
    (movie, *_) = client.show(click=False)
    for _ in range(4):
        client.ask(LIST)
    client.ask(RATE, id=movie, stars=4)
    client.ask(RATE, id=movie, stars=5)
    count = "marquee_operation_seconds_count"
    # The first request reads the document. Its name is a label from the second one on.
    assert client.value(count, operation="List", type="query") == 3
    assert client.value(count, operation="Rate", type="mutation") == 1
    # SignUp, Ranked, Feedback and List and Rate once each.
    assert client.value(count, operation="other", type="query") == 2
    assert client.value(count, operation="other", type="mutation") == 3
    assert client.value("marquee_operation_seconds_sum", operation="List", type="query") > 0  # type: ignore[operator]


def test_documents_that_are_never_repeated_add_no_series(client: Client) -> None:
    before = len(client.scrape())
    for number in range(20):
        client.ask(f"query Name{number} {{ __typename }}")
    after = client.scrape()
    assert not [key for key in after if "Name" in str(key)]
    assert len(after) <= before + 50  # one histogram, of OTHER


def test_names_beyond_the_limit_share_a_label() -> None:
    names = OperationNames()
    labels = {names.label(f"name{number}") for number in range(3 * MAX_NAMES)}
    assert len(labels) == MAX_NAMES
    assert names.label("another") == OTHER
    assert names.label("name0") == "name0"
    assert len(OperationNames().label("n" * 1000)) == 64


def test_a_trusted_document_is_named_from_its_first_request(
    seeded_database_url: str, start_client: StartClient, tmp_path: Path
) -> None:
    documents = tmp_path / "documents.json"
    documents.write_text('{"1": "query Trusted { __typename }"}')
    client = start_client(seeded_database_url, TRUSTED_DOCUMENTS=str(documents))
    client.ask("query Trusted { __typename }")
    client.ask("query Unknown { __typename }")
    count = "marquee_operation_seconds_count"
    assert client.value(count, operation="Trusted", type="query") == 1
    assert client.value("marquee_errors_total", code="UNTRUSTED_DOCUMENT") == 1


def test_errors_are_counted_once_by_code_and_limits_by_setting(
    seeded_database_url: str, start_client: StartClient
) -> None:
    client = start_client(seeded_database_url, MAX_COST="3000", OPERATIONS_PER_MINUTE="4")
    before = client.scrape()
    assert before["marquee_limits_hit_total", (("setting", "MAX_COST"),)] == 0
    client.ask("{ nothing }")  # not valid
    client.ask("{")  # not a document
    client.ask(
        "{ movies(first: 100) { edges { node { similar(first: 50) { edges { node { title } } } } } } }"
    )
    client.ask("{ viewer { id } me: node(id: 4) { id } }")
    client.http.post(f"{client.url}/graphql", content=b"{")
    for _ in range(6):
        client.ask("{ __typename }")
    after = client.scrape()

    def rise(name: str, **labels: str) -> float:
        key = (name, tuple(labels.items()))
        return after[key] - before[key]

    assert rise("marquee_errors_total", code="QUERY_TOO_COMPLEX") == 1
    assert rise("marquee_limits_hit_total", setting="MAX_COST") == 1
    assert rise("marquee_errors_total", code="RATE_LIMITED") >= 2
    assert rise("marquee_limits_hit_total", setting="OPERATIONS_PER_MINUTE") == rise(
        "marquee_errors_total", code="RATE_LIMITED"
    )
    assert rise("marquee_errors_total", code="INTERNAL") == 0
    assert rise("marquee_errors_total", code="BAD_USER_INPUT") >= 3


def test_model_snapshot_scorer_and_pool_are_shown(client: Client, seeded_database_url: str) -> None:
    client.sign_up()
    (movie, *_) = client.show(click=False)
    client.ask(RATE, id=movie, stars=5)
    client.ask(RANKED)
    with psycopg.connect(seeded_database_url) as connection:
        connection.execute("INSERT INTO training_jobs (status, tries) VALUES ('FAILED', 3), ('FAILED', 3)")
        version, age, movies = connection.execute(
            "SELECT version, extract(epoch FROM now() - trained_at)::float8, (SELECT count(*) FROM movies) "
            "FROM model_versions WHERE status = 'ACTIVE'"
        ).fetchone() or ("", 0, 0)
    found = client.scrape()
    assert found["marquee_model_info", (("version", version),)] == 1
    assert found["marquee_model_age_seconds", ()] == pytest.approx(age, abs=60)
    assert found["marquee_snapshot_movies", ()] == movies
    assert 0 <= found["marquee_snapshot_age_seconds", ()] < 60
    for stage in ("fold_in", "scan", "rerank", "predict", "explain"):
        assert found["marquee_scorer_seconds_count", (("stage", stage),)] >= 1, stage
    most = {"transactions": 20, "reads": 10}
    for pool, connections in most.items():
        assert found["marquee_database_connections_max", (("pool", pool),)] == connections
        states = [("pool", pool), ("state", "used")], [("pool", pool), ("state", "idle")]
        assert 1 <= sum(found["marquee_database_connections", tuple(each)] for each in states) <= connections
    assert found["marquee_training_jobs", (("status", "QUEUED"),)] == 0
    assert found["marquee_training_jobs", (("status", "FAILED"),)] == 2
    assert found["marquee_event_loop_lag_seconds_count", ()] > 0


def test_online_quality_is_that_of_the_lists_shown(client: Client) -> None:
    client.sign_up()
    shown: set[str] = set()
    for number in range(4):
        shown.update(client.show(click=number == 0))
    found = client.scrape()
    for window in ("hour", "day"):
        labels = (("window", window),)
        assert found["marquee_shown_lists", labels] == 4
        assert found["marquee_list_click_rate", labels] == 0.25
        assert found["marquee_list_watch_rate", labels] == 0.25
        movies = found["marquee_snapshot_movies", ()]
        assert found["marquee_list_coverage", labels] == pytest.approx(len(shown) / movies)
        assert 0 < found["marquee_list_diversity", labels] < 1
        assert 0 <= found["marquee_list_popular_share", labels] <= 1


def test_streams_are_shown_as_postgres_has_them(client: Client, seeded_database_url: str) -> None:
    with psycopg.connect(seeded_database_url) as connection:
        connection.execute(
            "INSERT INTO stream_positions (stream, partition, next_position, end_position, stored_at) "
            "VALUES ('kafka:tv', 0, 90, 100, now() - interval '1 hour'), ('kafka:tv', 1, 5, NULL, now())"
        )
        connection.execute(
            "INSERT INTO stream_counts VALUES ('kafka:tv', 'STORED', 93), ('kafka:tv', 'TIME', 2)"
        )
        connection.execute(
            "INSERT INTO dead_letters (stream, partition, position, reason, rule, raw_line, is_whole, "
            "default_source) VALUES ('kafka:tv', 0, 7, 'TIME', 'no time', '{}', true, 'tv')"
        )
    found = client.scrape()
    of_partition = [(("partition", str(number)), ("stream", "kafka:tv")) for number in range(2)]
    assert [found["marquee_stream_lag", labels] for labels in of_partition] == [10, 0]
    ages = [found["marquee_stream_stored_age_seconds", labels] for labels in of_partition]
    assert ages[0] - ages[1] == pytest.approx(3600, abs=1)
    assert found["marquee_stream_events_total", (("outcome", "STORED"), ("stream", "kafka:tv"))] == 93
    assert found["marquee_stream_events_total", (("outcome", "TIME"), ("stream", "kafka:tv"))] == 2
    assert found["marquee_dead_letters", (("reason", "TIME"),)] == 1
    assert found["marquee_dead_letters", (("reason", "MOVIE"),)] == 0


def test_open_subscriptions_are_counted_while_they_last(client: Client) -> None:
    client.sign_up()
    headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {client.token}"}
    body = {"query": "subscription Follow { recommendationsChanged { changedAt } }"}
    assert client.value("marquee_subscriptions_open") == 0
    with httpx.stream("POST", f"{client.url}/graphql", json=body, headers=headers) as opened:
        assert opened.status_code == 200
        deadline = time.monotonic() + 60
        while client.value("marquee_subscriptions_open") != 1:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    while client.value("marquee_subscriptions_open") != 0:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_operations_and_refusals_of_websockets_are_counted(
    seeded_database_url: str, start_client: StartClient
) -> None:
    client = start_client(seeded_database_url, MAX_CONNECTIONS_PER_ADDRESS="3", TRUSTED_PROXIES="127.0.0.1")
    address = client.url.replace("http", "ws") + "/graphql"
    with ExitStack() as stack:
        sockets = [
            stack.enter_context(connect(address, subprotocols=[Subprotocol("graphql-transport-ws")]))
            for _ in range(3)
        ]
        with pytest.raises(InvalidStatus):
            connect(address, subprotocols=[Subprotocol("graphql-transport-ws")])
        sockets[0].send('{"type": "connection_init"}')
        sockets[0].recv(20)
        queries = ("query Socket { __typename }", "query Socket { __typename }", "{ nothing }")
        for number, query in enumerate(queries):
            payload = {"type": "subscribe", "id": str(number), "payload": {"query": query}}
            sockets[0].send(json.dumps(payload))
            answer = json.loads(sockets[0].recv(20))
            if answer["type"] == "next":
                assert json.loads(sockets[0].recv(20))["type"] == "complete"
    found = client.scrape()
    assert found["marquee_operation_seconds_count", (("operation", "Socket"), ("type", "query"))] == 1
    assert found["marquee_errors_total", (("code", "BAD_USER_INPUT"),)] == 1
    assert found["marquee_limits_hit_total", (("setting", "MAX_CONNECTIONS_PER_ADDRESS"),)] == 1


def test_a_body_that_does_not_arrive_hits_its_limit(
    seeded_database_url: str, start_client: StartClient
) -> None:
    client = start_client(seeded_database_url, REQUEST_SECONDS="0.3")
    host, port = client.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        lines = ("POST /graphql HTTP/1.1", "Host: movies", "Content-Type: application/json")
        head = "\r\n".join((*lines, "Content-Length: 99", "", ""))
        connection.sendall(head.encode() + b"{")
        assert connection.recv(4096).startswith(b"HTTP/1.1 408")
    assert client.value("marquee_limits_hit_total", setting="REQUEST_SECONDS") == 1
    assert client.value("marquee_errors_total", code="TIMEOUT") == 1
    assert client.value("marquee_http_responses_total", status="408") == 1


def test_two_processes_have_an_endpoint_each(seeded_database_url: str, start_client: StartClient) -> None:
    first, second = start_client(seeded_database_url), start_client(seeded_database_url)
    for _ in range(3):
        first.ask(LIST)
    count = "marquee_operation_seconds_count"
    assert first.value(count, operation="List", type="query") == 2
    assert second.value(count, operation="List", type="query") is None
    assert first.value("marquee_shown_lists", window="hour") == 0
    assert second.value("marquee_shown_lists", window="hour") == 0


def test_without_a_port_nothing_is_served(seeded_database_url: str, start_server: StartServer) -> None:
    service = start_server(seeded_database_url, PRODUCTION="true")
    assert "/metrics" not in service.log.read_text()
    assert httpx.get(f"{service.url}/metrics").status_code == 404


def test_the_port_of_another_process_is_refused_with_a_reason(
    seeded_database_url: str, start_server: StartServer
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RuntimeError, match=rf"METRICS_PORT {port} of 127.0.0.1 cannot be opened"):
            start_server(seeded_database_url, METRICS_PORT=str(port))


def test_an_outage_of_the_database_leaves_the_rest_of_a_scrape(
    seeded_database_url: str, start_client: StartClient
) -> None:
    client = start_client(seeded_database_url)
    with psycopg.connect(seeded_database_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE feedback RENAME TO hidden")
        found = client.scrape()
    assert found["marquee_database_figures_failures_total", ()] == 2  # of the hour, and of the day
    assert found["marquee_training_jobs", (("status", "QUEUED"),)] == 0
    assert ("marquee_shown_lists", (("window", "hour"),)) not in found
    assert found["marquee_snapshot_movies", ()] > 0


def test_each_metric_is_on_the_page(seeded_database_url: str, start_client: StartClient) -> None:
    client = start_client(seeded_database_url, DATABASE_READ_URL=seeded_database_url)
    client.sign_up()
    client.show(click=True)
    page, _, _ = (ROOT / "docs" / "monitoring.md").read_text().partition("## Metrics of an ingester")
    text = client.http.get(client.metrics).text
    families = {
        line.split()[2]: line.split()[3] for line in text.splitlines() if line.startswith("# TYPE marquee_")
    }
    rows = dict(re.findall(r"^\| `(marquee_\w+)` \| (\w+) \|", page, re.MULTILINE))
    created = {name for name in families if name.endswith("_created")}
    assert rows == {name: kind for name, kind in families.items() if name not in created}
