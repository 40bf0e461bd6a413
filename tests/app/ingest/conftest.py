"""A Kafka broker, and a store of events with a small catalog."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from app.ingest.store_events import Store
from app.ingest.stream_movies import Connection
from app.settings import Settings
from bench.start_broker import Broker, BrokerError, fetched, running_broker
from tests.app.ingest.stream import MOVIES


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
def connection(database_url: str) -> Iterator[Connection]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(MOVIES.encode())
        yield connection


@pytest.fixture
def store(connection: Connection, settings: Settings) -> Store:
    return Store(connection, settings)
