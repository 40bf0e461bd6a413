"""An ingester of a Kafka topic: events for it, and waiting until they are stored."""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psycopg
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from bench.processes.start_broker import Broker

PARTITIONS = 3
SECONDS = 90  # within which events must be stored

LOG_CHARACTERS = 4000


class Ingest(subprocess.Popen[str]):
    """An ingester, with the file of its log."""

    log: Path


Start = Callable[..., Ingest]


def log_of(folder: Path) -> Path:
    return folder / "ingest.log"


def end_of_log(process: Ingest) -> str:
    """The exit status of a process, and the last lines of its log, for the message of a failed assertion."""
    return f"exit status {process.poll()}, log:\n{process.log.read_text()[-LOG_CHARACTERS:]}"


def make_topic(broker: Broker, name: str) -> None:
    admin = AdminClient({"bootstrap.servers": broker.address})
    admin.create_topics([NewTopic(name, PARTITIONS)])[name].result(30)


INTERRUPTED = 128 + signal.SIGINT  # the exit status of a process that SIGINT meets before it reads


def finished(process: Ingest, *, may_be_starting: bool = False) -> dict[str, int]:
    """The counts that a process prints at its end; none if it was interrupted while it started."""
    stdout, _ = process.communicate(timeout=SECONDS)
    if may_be_starting and process.returncode == INTERRUPTED:
        return {}
    assert process.returncode == 0, end_of_log(process)
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
    process: Ingest | None = None,
) -> None:
    """Wait until the result of a query is as expected, while the process runs."""
    deadline = time.monotonic() + SECONDS
    while not expected(found := rows(database_url, query)):
        assert process is None or process.poll() is None, f"the process has ended: {end_of_log(process)}"
        assert time.monotonic() < deadline, (found, process and end_of_log(process))
        time.sleep(0.05)


def wait_for_events(database_url: str, events: int, process: Ingest | None = None) -> None:
    counted = "SELECT coalesce(sum(events), 0) FROM stream_counts"
    wait_for(database_url, counted, lambda n: n[0][0] >= events, process)


def clicks(database_url: str) -> int:
    [(count,)] = rows(database_url, "SELECT count(*) FROM feedback")
    return int(count)
