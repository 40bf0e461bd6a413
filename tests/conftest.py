"""One Postgres for the whole run, one migrated template database, and a clone of it for each test.

`TEST_DATABASE_URL` names another server; its user must be allowed to create databases.
"""

import fcntl
import gc
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import hypothesis
import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from app.db import migrations
from app.db.embedded import EmbeddedPostgresError, embedded_postgres
from tests import first_start
from tests.first_start import FirstStart
from tests.order import pytest_collection_modifyitems, pytest_xdist_auto_num_workers
from tests.services import LONG_LIVED, StartServer, running

# pytest finds these hooks here.
__all__ = ["pytest_collection_modifyitems", "pytest_xdist_auto_num_workers"]

ROOT = Path(__file__).parent.parent

# The tests of properties do not depend on time. A busy machine, or the first use of a strategy, is slow.
hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("patient")

FOLDER = "MARQUEE_TEST_FOLDER"
ENOUGH_MEMORY = 6 << 30
# Test data need not survive a crash, so writes do not wait for the disk.
POSTGRES_OPTIONS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_connections": "300",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "shared_buffers": "64MB",  # a clone and its removal look through all of them
}


def pytest_configure(config: pytest.Config) -> None:
    """Make the run's folder, which workers find by their environment. Remove those of killed runs first."""
    if hasattr(config, "workerinput"):
        return
    for left in _parent_of_runs().glob("marquee-test-*"):
        with suppress(OSError, EmbeddedPostgresError), (left / "run.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove_run(left)
    folder = Path(tempfile.mkdtemp(prefix="marquee-test-", dir=_parent_of_runs()))
    folder.chmod(0o711)  # under root, Postgres runs as another account
    held = (folder / "run.lock").open("w")
    fcntl.flock(held, fcntl.LOCK_EX)
    config.add_cleanup(held.close)
    config.add_cleanup(lambda: _remove_run(folder))
    os.environ[FOLDER] = str(folder)
    # Each worker has one core: with more threads, small trainings take almost twice the CPU time.
    os.environ.setdefault("NUMBA_NUM_THREADS", "1")


def pytest_collection_finish() -> None:
    """Leave modules and tests out of collections of garbage: each full one would look through all of them."""
    gc.collect()
    gc.freeze()


def _parent_of_runs() -> Path:
    """A folder in memory if it is large enough: a clone then takes 5 ms instead of 40."""
    memory = Path("/dev/shm")  # noqa: S108
    if memory.is_dir() and shutil.disk_usage(memory).free > ENOUGH_MEMORY:
        return memory
    return Path(tempfile.gettempdir())


def _remove_run(folder: Path) -> None:
    if given := os.environ.get("TEST_DATABASE_URL"):
        for template in folder.glob("test_*"):
            _execute(given, "DROP DATABASE IF EXISTS {} WITH (FORCE)", template.name)
    elif (folder / "postgres" / "postmaster.pid").exists():
        with embedded_postgres(folder):  # the exit of the last user stops it
            pass
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def run_folder() -> Path:
    """A folder shared by all workers of this run, removed at its end."""
    return Path(os.environ[FOLDER])


@pytest.fixture(scope="session")
def postgres_url(run_folder: Path) -> Iterator[str]:
    """The URL of the server's maintenance database."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield given
    else:
        with embedded_postgres(run_folder, options=POSTGRES_OPTIONS) as url:
            yield url


@pytest.fixture(scope="session")
def migrated_template(postgres_url: str, run_folder: Path) -> str:
    """The name of a migrated database without connections; tests clone it."""
    return made_once(postgres_url, run_folder, "migrated", migrations.upgrade)


@pytest.fixture
def database_url(postgres_url: str, migrated_template: str) -> Iterator[str]:
    """A migrated, empty database for one test."""
    with cloned(postgres_url, migrated_template) as url:
        yield url


@pytest.fixture
def empty_database_url(postgres_url: str) -> Iterator[str]:
    """A database without tables."""
    with cloned(postgres_url, "template1") as url:
        yield url


def made_once(postgres_url: str, run_folder: Path, label: str, make: Callable[[str], None]) -> str:
    """The name of a template database. The first worker makes it while the others wait."""
    name = f"test_{run_folder.name.rpartition('-')[2]}_{label}"
    done = run_folder / name
    with (run_folder / f"{label}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            _execute(postgres_url, "DROP DATABASE IF EXISTS {}", name)
            _execute(postgres_url, "CREATE DATABASE {}", name)
            make(in_database(postgres_url, name))
            done.touch()
    return name


@pytest.fixture(scope="session")
def model_dir(run_folder: Path) -> Path:
    """The folder with the model of the seeded template; further trainings add models to it."""
    return run_folder / "models"


@pytest.fixture(scope="session")
def seeded_template(postgres_url: str, run_folder: Path, model_dir: Path) -> str:
    """The name of a template database with the bundled catalog and a trained, active model."""

    def make(database_url: str) -> None:
        from app.training import train  # noqa: PLC0415 - imports the recommender, which few tests need
        from seeds.bundled import load_bundled  # noqa: PLC0415 - the same

        migrations.upgrade(database_url)
        load_bundled(database_url)
        keep_a_quarter(database_url)
        train.train(database_url, model_dir, lambda _stage, _fraction: None, kept_models=3)

    return made_once(postgres_url, run_folder, "seeded", make)


def keep_a_quarter(database_url: str) -> None:
    """Keep a quarter of the members: enough to train on, in a quarter of the time."""
    with psycopg.connect(database_url) as connection:
        connection.execute("SET marquee.bulk = 'on'")
        connection.execute("DELETE FROM users WHERE id % 4 <> 0")
        connection.execute("TRUNCATE movie_stats")
        connection.execute(
            "INSERT INTO movie_stats (movie_id, rating_count, half_stars_sum, trend) "
            "SELECT movie_id, count(*), sum(half_stars), sum(trend_weight(rated_at)) "
            "FROM ratings GROUP BY movie_id"
        )
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("VACUUM (FULL, ANALYZE)")


def keep_few_members(database_url: str) -> None:
    """Keep a sixteenth of the members, so that a training by the test itself is short."""
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM users WHERE id % 16 <> 0")


@pytest.fixture
def seeded_database_url(postgres_url: str, seeded_template: str) -> Iterator[str]:
    """A database for one test with the bundled catalog and the trained model of `model_dir`."""
    with cloned(postgres_url, seeded_template) as url:
        yield url


@pytest.fixture(scope="session")
def server_database_url(postgres_url: str, seeded_template: str) -> Iterator[str]:
    """The seeded database of the shared service."""
    with cloned(postgres_url, seeded_template) as url:
        yield url


@pytest.fixture(scope="session")
def server(server_database_url: str, model_dir: Path, run_folder: Path) -> Iterator[str]:
    """The address of a real service on a seeded database. The tests that share it make their own users."""
    with running(server_database_url, model_dir, run_folder, **LONG_LIVED) as service:
        yield service.url


@pytest.fixture
def start_server(model_dir: Path, run_folder: Path) -> Iterator[StartServer]:
    """Start services for one test, with further settings: `start_server(database_url, PORT="0")`."""
    with ExitStack() as stack:
        yield lambda database_url, **settings: stack.enter_context(
            running(database_url, model_dir, run_folder, **settings)
        )


@pytest.fixture(scope="session")
def prepared(run_folder: Path) -> tuple[Path, FirstStart]:
    """A folder that `marquee serve --prepare` has made, to be copied, and what that first start said."""
    return first_start.prepared(run_folder)


@pytest.fixture(scope="session")
def redis_url(run_folder: Path) -> Iterator[str]:
    """The address of a Redis for this worker."""
    if (server := shutil.which("redis-server")) is None:
        pytest.skip("redis-server is not installed")
    address = run_folder / f"redis-{uuid4().hex[:8]}.sock"
    process = subprocess.Popen(
        [server, "--port", "0", "--unixsocket", str(address), "--save", "", "--dir", str(run_folder)],
        stdout=subprocess.DEVNULL,
    )
    try:
        while not address.exists():
            assert process.poll() is None, "Redis did not start"
            time.sleep(0.02)
        yield f"unix://{address}"
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def cloned(postgres_url: str, template: str) -> Iterator[str]:
    name = f"test_{uuid4().hex[:12]}"
    _execute(postgres_url, "CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY", name, template)
    try:
        yield in_database(postgres_url, name)
    finally:
        _execute(postgres_url, "DROP DATABASE {} WITH (FORCE)", name)


def in_database(postgres_url: str, name: str) -> str:
    return make_url(postgres_url).set(database=name).render_as_string(hide_password=False)


def _execute(postgres_url: str, statement: str, *names: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
