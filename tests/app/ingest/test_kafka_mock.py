"""Reading of partitions with librdkafka's mock cluster, which runs without Java."""

import json
import threading
from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from confluent_kafka import Producer

from app.ingest.clean_events import Stream
from app.ingest.kafka import Ingester
from app.ingest.kafka_topics import KafkaFailure, KafkaTopic, consumer_of
from app.ingest.store_events import Store
from app.ingest.stream_movies import Connection
from app.settings import Settings

TOPIC = "logs"
POSITIONS = "SELECT sum(next_position)::bigint, sum(end_position)::bigint FROM stream_positions"


@pytest.fixture
def cluster() -> Iterator[Producer]:
    """The producer that runs the mock cluster."""
    producer = Producer(
        {
            "bootstrap.servers": "mock",
            "test.mock.num.brokers": 1,
            "log_level": 0,
            "topic.metadata.refresh.interval.ms": 500,
        }
    )
    yield producer
    producer.flush(5)


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO movies (title, year) VALUES ('Alien', 1979)")
        yield connection


def ingest(cluster: Producer, connection: Connection, database_url: str, batch: int = 100) -> dict[str, int]:
    [broker] = cluster.list_topics(timeout=60).brokers.values()
    given = {"database_url": database_url, "secret_key": "a secret of the tests, long enough"}
    store = Store(connection, Settings.model_validate(given))
    group = uuid4().hex  # the mock cluster does not let a member of a group return
    consumer = consumer_of({"bootstrap.servers": f"{broker.host}:{broker.port}"}, group)
    topics = {TOPIC: KafkaTopic(TOPIC, Stream("kafka:logs", "tv"))}

    def connect() -> Connection:
        raise AssertionError

    return dict(Ingester(consumer, topics, store, connect, threading.Event(), batch).run(to_end=True))


def send(cluster: Producer, numbers: range) -> None:
    for number in numbers:
        movie = {"title": "Alien", "year": 1979}
        event = {
            "version": 1,
            "kind": "click",
            "user": number,
            "movie": movie,
            "time": "2025-02-15T01:49:06Z",
        }
        cluster.produce(TOPIC, json.dumps(event).encode(), partition=number % 3)
    assert cluster.flush(10) == 0


def test_partitions_are_read_from_their_stored_positions_on(
    cluster: Producer, connection: Connection, database_url: str
) -> None:
    send(cluster, range(500))
    cluster.produce(TOPIC, None, partition=0)  # a message without a value
    assert ingest(cluster, connection, database_url) == {"STORED": 500, "MALFORMED": 1}
    assert connection.execute(POSITIONS).fetchall() == [(501, 501)]
    assert ingest(cluster, connection, database_url) == {}
    send(cluster, range(500, 510))
    assert ingest(cluster, connection, database_url, batch=1) == {"STORED": 10}
    connection.execute("UPDATE stream_positions SET next_position = 0 WHERE partition = 1")
    assert ingest(cluster, connection, database_url) == {"REPEATED": 170}
    assert connection.execute("SELECT count(*) FROM feedback").fetchall() == [(510,)]


def test_a_position_beyond_the_end_ends_the_reading(
    cluster: Producer, connection: Connection, database_url: str
) -> None:
    send(cluster, range(30))
    assert ingest(cluster, connection, database_url) == {"STORED": 30}
    connection.execute("UPDATE stream_positions SET next_position = 1000 WHERE partition = 1")
    with pytest.raises(KafkaFailure, match="no longer has the events"):
        ingest(cluster, connection, database_url)


def test_invalid_properties_are_named() -> None:
    with pytest.raises(KafkaFailure, match=r"unknown\.property"):
        consumer_of({"unknown.property": "1"}, "marquee")
