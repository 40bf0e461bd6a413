"""`marquee ingest kafka` with a real broker: each event counts once, whatever dies or moves meanwhile."""

import json
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from prometheus_client.parser import text_string_to_metric_families
from psycopg import sql

from bench.start_broker import Broker
from bench.start_service import PROGRAM
from tests.conftest import ROOT

KILLS = int(os.environ.get("KILLS", "4"))
pytestmark = pytest.mark.timeout(240 + 20 * KILLS)

PARTITIONS = 3
SECONDS = 90  # within which events must be stored
PROPERTIES = "# of the tests\nsession.timeout.ms=2000\nheartbeat.interval.ms=500\n"
COUNTS = "SELECT outcome, events FROM stream_counts ORDER BY outcome"


@pytest.fixture
def topic(broker: Broker) -> str:
    name = f"logs-{uuid4().hex[:8]}"
    make_topic(broker, name)
    return name


@pytest.fixture
def movies(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO movies (title, year) VALUES ('Alien', 1979), ('Heat', 1995)")


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(broker: Broker, topic: str, database_url: str, tmp_path: Path, movies: None) -> Iterator[Start]:  # noqa: ARG001
    """Start `marquee ingest kafka` on the topic, with further arguments and settings; killed at the end."""
    properties = tmp_path / "kafka.properties"
    properties.write_text(PROPERTIES)
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "SECRET_KEY": "a secret of the tests, long enough",
        "KAFKA_BROKERS": broker.address,
        "KAFKA_PROPERTIES": str(properties),
        "COLUMNS": "500",
    }
    with ExitStack() as stack:

        def run(*arguments: str, **settings: str) -> subprocess.Popen[str]:
            command = [*PROGRAM, "ingest", "kafka", topic, "--source", "tv", "--json", *arguments]
            with log_of(tmp_path).open("a") as log:  # a pipe that is not read would block the process
                process = subprocess.Popen(
                    command,
                    cwd=ROOT,
                    env=environment | settings,
                    text=True,
                    stdout=subprocess.PIPE,
                    stderr=log,
                )
            stack.callback(process.communicate)
            stack.callback(process.kill)
            return process

        yield run


def log_of(folder: Path) -> Path:
    return folder / "ingest.log"


def make_topic(broker: Broker, name: str) -> None:
    admin = AdminClient({"bootstrap.servers": broker.address})
    admin.create_topics([NewTopic(name, PARTITIONS)])[name].result(30)


INTERRUPTED = 128 + signal.SIGINT  # the exit status of a process that SIGINT meets before it reads


def finished(process: subprocess.Popen[str], *, may_be_starting: bool = False) -> dict[str, int]:
    """The counts that a process prints at its end; none if it was interrupted while it started."""
    stdout, _ = process.communicate(timeout=SECONDS)
    if may_be_starting and process.returncode == INTERRUPTED:
        return {}
    assert process.returncode == 0
    counts: dict[str, int] = json.loads(stdout)
    return counts


def click(number: int) -> str:
    """A click that no other number makes."""
    seconds, milliseconds = divmod(number, 1000)
    time = f"2025-02-15T{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{milliseconds:03}Z"
    movie = {"title": "Alien", "year": 1979}
    event = {"version": 1, "kind": "click", "user": number % 50, "movie": movie, "time": time}
    return json.dumps(event)


def send(broker: Broker, topic: str, lines: Sequence[str], **config: Any) -> None:
    """Send lines to the partitions in turn."""
    producer = Producer({"bootstrap.servers": broker.address, "linger.ms": 5, **config})
    for number, line in enumerate(lines):
        if number % 10_000 == 0:
            producer.flush(60)  # before its queue is full
        producer.produce(topic, line.encode(), partition=number % PARTITIONS)
    assert producer.flush(60) == 0


def rows(database_url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database_url) as connection:
        return connection.execute(query.encode()).fetchall()


def wait_for(
    database_url: str,
    query: str,
    expected: Callable[[Any], bool],
    process: subprocess.Popen[str] | None = None,
) -> None:
    """Wait until the result of a query is as expected, while the process runs."""
    deadline = time.monotonic() + SECONDS
    while not expected(found := rows(database_url, query)):
        assert process is None or process.poll() is None, "the process has ended"
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def wait_for_events(database_url: str, events: int, process: subprocess.Popen[str] | None = None) -> None:
    counted = "SELECT coalesce(sum(events), 0) FROM stream_counts"
    wait_for(database_url, counted, lambda n: n[0][0] >= events, process)


def clicks(database_url: str) -> int:
    [(count,)] = rows(database_url, "SELECT count(*) FROM feedback")
    return int(count)


def test_committed_events_of_all_partitions_are_stored_once(
    broker: Broker, topic: str, start: Start, database_url: str
) -> None:
    send(broker, topic, [*map(click, range(300)), *["bad"] * 3])
    producer = Producer({"bootstrap.servers": broker.address, "transactional.id": topic})
    producer.init_transactions(30)
    for number, end in ((1000, producer.abort_transaction), (1001, producer.commit_transaction)):
        producer.begin_transaction()
        producer.produce(topic, click(number).encode(), partition=0)
        end(30)
    assert finished(start("--to-end")) == {"STORED": 301, "MALFORMED": 3}
    lag = "SELECT count(*), sum(end_position - next_position) FROM stream_positions"
    assert rows(database_url, lag) == [(PARTITIONS, 0)]
    assert rows(database_url, "SELECT DISTINCT stream LIKE 'kafka:logs-%@%' FROM dead_letters") == [(True,)]
    assert finished(start("--to-end")) == {}
    send(broker, topic, [click(2000)])
    assert finished(start("--to-end", "--group", "another")) == {"STORED": 1}
    assert clicks(database_url) == 302


def test_partitions_move_between_processes(
    broker: Broker, topic: str, start: Start, database_url: str
) -> None:
    n = 40_000
    first = start()
    send(broker, topic, [click(number) for number in range(n // 4)])
    wait_for_events(database_url, 1)
    second = start()
    send(broker, topic, [click(number) for number in range(n // 4, n // 2)])
    wait_for_events(database_url, n // 2)
    third = start()
    send(broker, topic, [click(number) for number in range(n // 2, n * 3 // 4)])
    first.send_signal(signal.SIGTERM)
    stored = finished(first)
    send(broker, topic, [click(number) for number in range(n * 3 // 4, n)])
    wait_for_events(database_url, n)
    for process in (second, third):
        process.send_signal(signal.SIGINT)
    shares = [stored, finished(second), finished(third, may_be_starting=True)]
    assert sum(share.get("STORED", 0) for share in shares) == n
    assert rows(database_url, COUNTS) == [("STORED", n)]
    assert clicks(database_url) == n


def test_kills_lose_and_double_nothing(broker: Broker, topic: str, start: Start, database_url: str) -> None:
    rng = random.Random(5)  # noqa: S311 - not a secret
    n = max(60_000, KILLS * 5_000)
    send(broker, topic, [click(number) if number % 100 else "bad" for number in range(n)])
    for _ in range(KILLS):
        before = rows(database_url, "SELECT coalesce(sum(next_position), 0) FROM stream_positions")
        process = start("--batch", str(rng.choice([50, 300, 2_000])))
        wait_for(
            database_url,
            "SELECT coalesce(sum(next_position), 0) FROM stream_positions",
            lambda now, before=before: now > before or now[0][0] >= n,  # type: ignore[misc]
            process,
        )
        time.sleep(rng.random() * 0.4)
        process.kill()
        process.wait()
    finished(start("--to-end"))
    bad = n // 100
    assert rows(database_url, COUNTS) == [("MALFORMED", bad), ("STORED", n - bad)]
    assert clicks(database_url) == n - bad
    assert rows(database_url, "SELECT count(*) FROM dead_letters") == [(bad,)]
    assert rows(database_url, "SELECT sum(events) FROM event_counts") == [(n - bad,)]


def test_a_broker_restarts(broker: Broker, topic: str, start: Start, database_url: str) -> None:
    process = start()
    send(broker, topic, [click(number) for number in range(1000)])
    wait_for_events(database_url, 1000, process)
    broker.stop(kill=True)
    broker.start()
    send(broker, topic, [click(number) for number in range(1000, 2000)])
    wait_for_events(database_url, 2000, process)
    process.send_signal(signal.SIGTERM)
    assert finished(process) == {"STORED": 2000}
    assert clicks(database_url) == 2000


def test_without_a_broker_it_stops_soon(
    broker: Broker, topic: str, start: Start, database_url: str, tmp_path: Path
) -> None:
    """A consumer whose offsets are not committed waits for the broker, as long as its session lasts."""
    (tmp_path / "kafka.properties").write_text("session.timeout.ms=45000\n")
    process = start()
    send(broker, topic, [click(number) for number in range(10)])
    wait_for_events(database_url, 10, process)
    with psycopg.connect(database_url) as connection:  # a batch waits while the broker dies
        connection.execute("LOCK TABLE stream_counts IN ACCESS EXCLUSIVE MODE")
        send(broker, topic, [click(number) for number in range(10, 20)])
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        wait_for(database_url, waiting, lambda found: found[0][0] > 0, process)
        broker.stop(kill=True)
        time.sleep(2)  # the consumer notices the outage
    try:
        wait_for_events(database_url, 20, process)
        process.send_signal(signal.SIGTERM)
        stdout, _ = process.communicate(timeout=25)
    finally:
        broker.start()
    assert process.returncode == 0
    assert json.loads(stdout) == {"STORED": 20}


def test_an_ingester_serves_its_metrics(
    broker: Broker, topic: str, start: Start, database_url: str, tmp_path: Path
) -> None:
    process = start(METRICS_PORT="0")
    send(broker, topic, [*map(click, range(30)), "bad", click(0)])
    wait_for_events(database_url, 32, process)
    found = re.search(r"http://\S+/metrics", log_of(tmp_path).read_text())
    assert found is not None
    text = httpx.get(found[0]).text
    page = (ROOT / "docs" / "monitoring.md").read_text().partition("## Metrics of an ingester")[2]
    kinds = dict(re.findall(r"^# TYPE (marquee_\w+) (\w+)", text, re.MULTILINE))
    assert dict(re.findall(r"^\| `(marquee_\w+)` \| (\w+) \|", page, re.MULTILINE)) == kinds
    values = {
        (sample.name, sample.labels.get("outcome", sample.labels.get("partition"))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    for outcome, count in {"STORED": 30, "REPEATED": 1, "MALFORMED": 1, "TIME": 0}.items():
        assert values["marquee_ingest_events_total", outcome] == count
    for partition in map(str, range(PARTITIONS)):
        assert values["marquee_ingest_lag", partition] == 0
        assert values["marquee_ingest_behind_seconds", partition] == 0
    assert values["marquee_ingest_batch_seconds_count", None] >= 1
    assert values["marquee_ingest_held", None] == 0
    assert values["marquee_ingest_idle_seconds", None] < SECONDS


def test_an_outage_of_postgres_is_waited_for(
    broker: Broker, topic: str, start: Start, database_url: str, postgres_url: str, tmp_path: Path
) -> None:
    process = start()
    send(broker, topic, [click(number) for number in range(1000)])
    wait_for_events(database_url, 1000, process)
    name = database_url.rpartition("/")[2].partition("?")[0]

    def allow(allowed: str) -> None:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            statement = sql.SQL(f"ALTER DATABASE {{}} ALLOW_CONNECTIONS {allowed}")
            connection.execute(statement.format(sql.Identifier(name)))
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
            )

    allow("false")
    try:
        send(broker, topic, [click(number) for number in range(1000, 3000)])
        time.sleep(4)  # longer than the session of the consumer
    finally:
        allow("true")
    wait_for_events(database_url, 3000, process)
    process.send_signal(signal.SIGTERM)
    assert finished(process) == {"STORED": 3000}
    log = log_of(tmp_path).read_text()
    assert "the partitions are paused" in log
    assert "storing events again" in log
    assert clicks(database_url) == 3000


def test_a_topic_that_is_made_again_is_another_stream(
    broker: Broker, topic: str, start: Start, database_url: str
) -> None:
    send(broker, topic, [click(number) for number in range(30)])
    assert finished(start("--to-end")) == {"STORED": 30}
    admin = AdminClient({"bootstrap.servers": broker.address})
    admin.delete_topics([topic])[topic].result(30)
    time.sleep(1)
    make_topic(broker, topic)
    send(broker, topic, [click(number) for number in range(25, 40)])
    assert finished(start("--to-end")) == {"STORED": 10, "REPEATED": 5}
    assert clicks(database_url) == 40


def test_events_that_were_deleted_before_they_were_read_end_the_command(
    broker: Broker, topic: str, start: Start, tmp_path: Path
) -> None:
    send(broker, topic, [click(number) for number in range(30)])
    assert finished(start("--to-end")) == {"STORED": 30}
    send(broker, topic, [click(number) for number in range(30, 60)])
    admin = AdminClient({"bootstrap.servers": broker.address})
    place = TopicPartition(topic, 1, 15)
    admin.delete_records([place])[place].result(30)
    process = start("--to-end")
    assert process.wait(SECONDS) == 1
    assert f"Partition 1 of {topic} no longer has the events" in log_of(tmp_path).read_text()


def test_properties_that_the_guarantees_need_cannot_be_changed(start: Start, tmp_path: Path) -> None:
    (tmp_path / "kafka.properties").write_text("enable.auto.commit=true\n")
    process = start()
    assert process.wait(SECONDS) == 1
    assert "cannot be changed: enable.auto.commit" in log_of(tmp_path).read_text()
