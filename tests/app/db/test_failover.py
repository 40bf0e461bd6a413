"""A primary that is killed under load, and its replica of streaming replication that is promoted."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import text

from app.cli.ingest import connect as connect_ingester
from app.db import migrations
from app.db.engine import create_engine, psycopg_url, sessionmaker
from app.db.notifications import Changes
from app.provenance.recorder import connect as connect_recorder
from app.settings import Settings
from app.web.health import select_one
from bench.faults.failover import run
from bench.faults.replica import replicated
from bench.overload import NO_LIMITS
from tests.services import running

pytestmark = pytest.mark.timeout(900)

SECRET = "a secret of the tests, long enough"
IS_WRITER = "SELECT NOT pg_is_in_recovery()"


@pytest.fixture
def folder(run_folder: Path) -> Path:
    """A folder that the account of Postgres can enter."""
    made = run_folder / f"replicated-{uuid4().hex[:8]}"
    made.mkdir(mode=0o711)
    return made


def test_a_killed_primary_loses_no_acknowledged_write_and_the_service_goes_on(
    folder: Path, model_dir: Path, run_folder: Path
) -> None:
    @contextmanager
    def serve(url: str) -> Iterator[str]:
        with running(url, model_dir, run_folder, **NO_LIMITS) as service:
            yield service.url

    result = run(folder, serve)
    assert result.acknowledged > 0
    assert result.lost == 0


def of_engine(url: str) -> Any:
    async def read() -> Any:
        settings = Settings.model_validate(
            {"database_url": url, "secret_key": "a secret of the tests, long enough"}
        )
        engine = create_engine(url, settings)
        sessions = sessionmaker(engine)
        async with sessions() as session:
            found = await session.scalar(text(IS_WRITER)), *(await sessions.reads.row(IS_WRITER, {}) or ())
        await engine.dispose()
        with psycopg.connect(sessions.address) as connection:
            return {*found, *(connection.execute(IS_WRITER).fetchone() or ())}

    return asyncio.run(read())


def of(connect: Callable[[str], psycopg.Connection[Any]], url: str) -> Any:
    with connect(psycopg_url(url)) as connection:
        return {*(connection.execute(IS_WRITER).fetchone() or ())}


def test_each_kind_of_connection_is_to_the_host_that_writes(folder: Path) -> None:
    with replicated(folder, lambda _: None) as pair:
        kinds: dict[str, Callable[[str], Any]] = {
            "transactions, reads": of_engine,
            "ingester": partial(of, connect_ingester),
            "recorder": partial(of, connect_recorder),
            "notifications": partial(of, lambda url: psycopg.connect(Changes(url).address)),
            "commands, training": partial(of, psycopg.connect),
        }
        assert {name: kind(pair.url) for name, kind in kinds.items()} == {name: {True} for name in kinds}
        select_one(psycopg_url(pair.url))
        migrations.upgrade(pair.url)
        assert not migrations.is_behind(pair.url)
