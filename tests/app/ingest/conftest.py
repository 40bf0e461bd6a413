"""A Kafka broker with ingesters, and a store of events with a small catalog."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from app.ingest.store_events import Store
from app.ingest.stream_movies import Connection
from app.settings import Settings
from bench.processes.start_broker import Broker, BrokerError, fetched, running_broker
from bench.processes.start_service import PROGRAM
from tests.app.ingest.ingester import Ingest, Start, log_of, make_topic
from tests.app.ingest.stream import MOVIES
from tests.conftest import ROOT

PROPERTIES = "# of the tests\nsession.timeout.ms=2000\nheartbeat.interval.ms=500\n"


@pytest.fixture(scope="session")
def broker(run_folder: Path) -> Iterator[Broker]:
    """A real broker of this worker. Tests make their own topics."""
    try:
        fetched()
    except BrokerError as error:
        pytest.skip(str(error))
    with running_broker(run_folder / f"kafka-{uuid4().hex[:8]}") as broker:
        yield broker


@pytest.fixture
def topic(broker: Broker) -> str:
    name = f"logs-{uuid4().hex[:8]}"
    make_topic(broker, name)
    return name


@pytest.fixture
def movies(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO movies (title, year) VALUES ('Alien', 1979), ('Heat', 1995)")


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

        def run(*arguments: str, **settings: str) -> Ingest:
            command = [*PROGRAM, "ingest", "kafka", topic, "--source", "tv", "--json", *arguments]
            with log_of(tmp_path).open("a") as log:  # a pipe that is not read would block the process
                process = Ingest(
                    command,
                    cwd=ROOT,
                    env=environment | settings,
                    text=True,
                    stdout=subprocess.PIPE,
                    stderr=log,
                )
            process.log = log_of(tmp_path)
            stack.callback(process.communicate)
            stack.callback(process.kill)
            return process

        yield run


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(MOVIES.encode())
        yield connection


@pytest.fixture
def store(connection: Connection, settings: Settings) -> Store:
    return Store(connection, settings)
