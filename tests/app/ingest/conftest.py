"""A Kafka broker for the tests of this folder."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from bench.start_broker import Broker, BrokerError, fetched, running_broker


@pytest.fixture(scope="session")
def broker(run_folder: Path) -> Iterator[Broker]:
    """A real broker of this worker. Tests make their own topics."""
    try:
        fetched()
    except BrokerError as error:
        pytest.skip(str(error))
    with running_broker(run_folder / f"kafka-{uuid4().hex[:8]}") as broker:
        yield broker
