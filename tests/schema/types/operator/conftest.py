"""A service in the process of the test, on the seeded database."""

from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from app.db.engine import create_engine, sessionmaker
from app.serving import live
from app.settings import Settings
from tests.schema.types.operator.experiment_service import Service


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def service(
    seeded_database_url: str, model_dir: Path, operations: dict[str, str]
) -> AsyncIterator[Service]:
    settings = Settings.model_validate(
        {"database_url": seeded_database_url, "secret_key": "a secret of the tests, long enough"}
    )
    engine = create_engine(seeded_database_url, settings)
    sessions = sessionmaker(engine)
    made = Service(settings, sessions, await live.load(sessions, model_dir), operations)
    await made.sign_up("ada")
    with psycopg.connect(seeded_database_url) as connection:
        connection.execute("UPDATE users SET role = 'ADMIN' WHERE username = 'ada'")
    yield made
    if made.recorder.connection is not None:
        made.recorder.connection.close()
    await engine.dispose()
