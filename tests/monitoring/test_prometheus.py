"""Prometheus scrapes two live processes under load: each expression of dashboards and alerts has data."""

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import orjson
import psycopg
import pytest
import yaml
from confluent_kafka import Producer

from app.ingest.clean_events import Stream
from app.ingest.kafka import Ingester
from app.ingest.kafka_topics import KafkaTopic, consumer_of
from app.ingest.store_events import Store
from app.ingest.stream_metrics import served
from app.settings import Settings
from bench import dashboards
from bench.processes.free_port import free_port
from tests.conftest import ROOT
from tests.monitoring.conftest import LIST, RANKED, RATE, Client, StartClient

PROMETHEUS = ROOT / "deploy" / "prometheus"
LOAD_SECONDS = 8
START_SECONDS = 120
TOPIC = "movielog"
EXPERIMENT = """
INSERT INTO experiments (name, salt, layer, slice_from, slice_to, starts_at, ends_at)
VALUES ('variety', 'salt', 'default', 0, 1, now(), now() + '1 day')
"""
ARMS = """
INSERT INTO experiment_arms (experiment_id, position, name, share, diversity)
SELECT id, place, arm_name, 0.5, diversity FROM experiments
CROSS JOIN (VALUES (0, 'plain', NULL), (1, 'varied', 0.4)) AS arm (place, arm_name, diversity)
"""
RATED_LATELY = "UPDATE ratings SET rated_at = now() - interval '3 days' WHERE user_id % 20 = 0"
HEAVY = "{ movies(first: 100) { edges { node { similar(first: 50) { edges { node { title } } } } } } }"


@pytest.fixture
def ingester(seeded_database_url: str, capfd: pytest.CaptureFixture[str]) -> Iterator[tuple[Producer, str]]:
    """A producer that runs a mock cluster, and the address of the metrics of an ingester of its topic."""
    producer = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1, "log_level": 0})
    producer.produce(TOPIC, b"not an event", partition=0)
    assert producer.flush(10) == 0
    [broker] = producer.list_topics(timeout=60).brokers.values()
    given = {"database_url": seeded_database_url, "secret_key": "a secret of the tests, long enough"}
    settings = Settings.model_validate({**given, "metrics_port": 0})
    stopping = threading.Event()
    with psycopg.connect(seeded_database_url, autocommit=True) as connection:
        ingester = Ingester(
            consumer_of({"bootstrap.servers": f"{broker.host}:{broker.port}"}, "marquee"),
            {TOPIC: KafkaTopic(TOPIC, Stream(f"kafka:{TOPIC}", "tv"))},
            Store(connection, settings),
            lambda: connection,
            stopping,
        )
        with served(ingester.metrics, settings):
            printed = "".join(capfd.readouterr())
            address = printed.rpartition("http://")[2].partition("/metrics")[0]
            thread = threading.Thread(target=ingester.run)
            thread.start()
            yield producer, address
            stopping.set()
            thread.join(30)


@pytest.fixture
def prometheus(tmp_path: Path, clients: list[Client], ingester: tuple[Producer, str]) -> Iterator[str]:
    """A Prometheus with our configuration that scrapes the processes every half second."""
    if (program := shutil.which("prometheus")) is None:
        pytest.skip("prometheus is not installed (Debian: prometheus)")
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
    targets = [client.metrics.removeprefix("http://").removesuffix("/metrics") for client in clients]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [*targets, ingester[1]]}]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    shutil.copy(PROMETHEUS / "alerts.yml", tmp_path)
    address = f"127.0.0.1:{free_port()}"
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={tmp_path / 'prometheus.yml'}",
                f"--storage.tsdb.path={tmp_path / 'data'}",
                f"--web.listen-address={address}",
            ],
            stdout=log,
            stderr=log,
        )
        try:
            deadline = time.monotonic() + START_SECONDS
            while not is_ready(f"http://{address}"):
                assert process.poll() is None, (tmp_path / "log").read_text()
                assert time.monotonic() < deadline, (tmp_path / "log").read_text()
                time.sleep(0.1)
            yield f"http://{address}"
        finally:
            process.terminate()
            process.wait(30)


def is_ready(url: str) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"{url}/-/ready").status_code == 200
    return False


@pytest.fixture
def clients(seeded_database_url: str, start_client: StartClient) -> list[Client]:
    with psycopg.connect(seeded_database_url) as connection:
        connection.execute(EXPERIMENT)
        connection.execute(ARMS)
        connection.execute(RATED_LATELY)  # the bundled ratings are older than a month
    return [start_client(seeded_database_url, MAX_COST="3000") for _ in range(2)]


def load(client: Client, until: float, faults: list[Exception]) -> None:
    """Browse, recommend, rate, report events, and make mistakes, until a time."""
    try:
        client.sign_up()
        turn = 0
        while time.monotonic() < until:
            (movie, *_) = client.show(click=turn % 3 == 0)
            client.ask(RATE, id=movie, stars=1 + turn % 5)
            client.show(click=turn % 2 == 0, query=LIST)  # with an arm, since it gives no diversity
            client.ask(RANKED)
            client.ask("{ movies(first: 5) { edges { node { title } } } }")
            client.ask(HEAVY)
            client.ask("{ nothing }")
            turn += 1
    except Exception as fault:  # noqa: BLE001 - raised by the test
        faults.append(fault)


def stream(producer: Producer, until: float, faults: list[Exception]) -> None:
    """Send events of an unknown movie and of a known one, until a time."""
    try:
        turn = 0
        while time.monotonic() < until:
            movie = {"title": "The Matrix", "year": 1999} if turn % 2 else {"title": "None", "year": 1900}
            event = {"version": 1, "kind": "rating", "user": turn, "movie": movie, "value": 4}
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            producer.produce(TOPIC, orjson.dumps(event | {"time": now}), partition=turn % 3)
            producer.poll(0.05)
            turn += 1
        assert producer.flush(10) == 0
    except Exception as fault:  # noqa: BLE001 - raised by the test
        faults.append(fault)


@pytest.mark.timeout(240)
def test_each_expression_has_data_under_load(
    prometheus: str, clients: list[Client], ingester: tuple[Producer, str], seeded_database_url: str
) -> None:
    faults: list[Exception] = []
    until = time.monotonic() + LOAD_SECONDS
    threads = [
        threading.Thread(target=load, args=(Client(each.url, each.metrics, each.http), until, faults))
        for each in clients
        for _ in range(2)
    ]
    threads.append(threading.Thread(target=stream, args=(ingester[0], until, faults)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults, faults
    time.sleep(1.5)  # two more scrapes

    command = [sys.executable, "-m", "bench.dashboards", "--prometheus", prometheus]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    print(done.stdout)  # noqa: T201 - shown by `pytest -s`
    assert done.returncode == 0, done.stdout + done.stderr
    count = len(list(dashboards.expressions()))
    assert done.stdout.endswith(f"{count} of {count} expressions have data\n")

    timed = dashboards.evaluate(prometheus, "marquee_operation_seconds_count")
    names = {labels["operation"] for labels, _ in timed}
    assert {"Ranked", "List", "Rate", "Feedback", "anonymous", "other"} <= names
    ((_, shown),) = dashboards.evaluate(prometheus, 'max(marquee_shown_lists{window="hour"})')
    with psycopg.connect(seeded_database_url) as connection:
        lists = connection.execute("SELECT count(DISTINCT request_id) FROM feedback").fetchone()
    assert 0 < shown <= (lists or (0,))[0]
    ((_, stored),) = dashboards.evaluate(prometheus, 'sum(marquee_ingest_events_total{outcome="STORED"})')
    ((_, refused),) = dashboards.evaluate(prometheus, "sum(max by (reason) (marquee_dead_letters))")
    assert stored > 0
    assert refused > 0
    alerts = httpx.get(f"{prometheus}/api/v1/rules").json()["data"]["groups"]
    rules = [rule for group in alerts for rule in group["rules"]]
    assert len(rules) == 22
    assert {rule["health"] for rule in rules} == {"ok"}


def test_an_expression_without_data_and_a_wrong_one_are_found(prometheus: str) -> None:
    assert dashboards.evaluate(prometheus, "no_such_metric") == []
    with pytest.raises(ValueError, match="parse error"):
        dashboards.evaluate(prometheus, "sum(")
    with pytest.raises(ValueError, match="does not compare with a number"):
        list(dashboards.sides("absent(up)"))
    sides = list(dashboards.sides("max(a) / max(b) < 0.5\n  and max(c) > 200"))
    assert sides == ["max(a) / max(b)", "max(c)"]
