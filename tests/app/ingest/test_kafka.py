"""`marquee ingest kafka` with a real broker: each event counts once, whatever dies or moves meanwhile."""

import os
import random
import re
import signal
import time
from pathlib import Path

import httpx
import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from prometheus_client.parser import text_string_to_metric_families

from bench.processes.start_broker import Broker
from tests.app.ingest.ingester import (
    PARTITIONS,
    SECONDS,
    Start,
    click,
    clicks,
    finished,
    log_of,
    make_topic,
    rows,
    send,
    wait_for,
    wait_for_events,
)
from tests.conftest import ROOT

KILLS = int(os.environ.get("KILLS", "4"))
pytestmark = [pytest.mark.long("broker"), pytest.mark.timeout(240 + 20 * KILLS)]

COUNTS = "SELECT outcome, events FROM stream_counts ORDER BY outcome"


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
