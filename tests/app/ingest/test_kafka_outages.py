"""`marquee ingest kafka` waits for a broker or a Postgres that is down; each event counts once."""

import json
import signal
import threading
import time
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import Consumer
from psycopg import sql

from app.ingest.kafka import Ingester
from app.ingest.store_events import Store
from app.ingest.stream_movies import Connection
from app.settings import Settings
from bench.processes.start_broker import Broker
from tests.app.ingest.ingester import (
    Start,
    click,
    clicks,
    end_of_log,
    finished,
    log_of,
    send,
    wait_for,
    wait_for_events,
)

pytestmark = [pytest.mark.long("broker"), pytest.mark.timeout(320)]


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
    assert process.returncode == 0, end_of_log(process)
    assert json.loads(stdout) == {"STORED": 20}


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


def test_a_connection_lost_while_it_is_prepared_is_opened_again(
    store: Store, database_url: str, settings: Settings
) -> None:
    lost: list[Connection] = []

    def connect() -> Connection:
        connection = psycopg.connect(database_url, autocommit=True)
        if not lost:
            lost.append(connection)
            store.connection.execute("SELECT pg_terminate_backend(%s, 5000)", (connection.info.backend_pid,))
        return connection

    first = psycopg.connect(database_url, autocommit=True)
    consumer = Consumer({"bootstrap.servers": "localhost:9", "group.id": "tests"})
    ingester = Ingester(consumer, {}, Store(first, settings), connect, threading.Event())
    ingester.reconnect()
    assert lost[0].closed
    assert ingester.store.connection is first
    ingester.reconnect()
    assert ingester.store.connection is not first
    assert ingester.store.positions("tv") == {}
    ingester.store.connection.close()
