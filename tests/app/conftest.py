"""A database of the test's own, as the service sees it."""

from collections.abc import AsyncIterator

import pytest

from app.db import Sessions, create_engine, sessionmaker
from app.settings import Settings


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def settings(database_url: str) -> Settings:
    return Settings.model_validate(
        {"database_url": database_url, "secret_key": "a secret of the tests, long enough"}
    )


@pytest.fixture
async def sessions(database_url: str, settings: Settings) -> AsyncIterator[Sessions]:
    engine = create_engine(database_url, settings)
    yield sessionmaker(engine)
    await engine.dispose()
