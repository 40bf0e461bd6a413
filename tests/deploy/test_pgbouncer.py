"""The API behind pgbouncer in transaction mode: screens of front ends, and each example of GraphiQL."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from app.settings import Settings
from bench.processes.free_port import free_port
from tests.app.web.test_examples import Page
from tests.app.web.test_examples import test_each_works_for_its_kind_of_user as works_for_its_user
from tests.conftest import ROOT, cloned
from tests.deploy.cluster import wait_for
from tests.examples.test_screens import test_a_screen_is_one_request, viewer
from tests.schema.conftest import Ask, asking, http, operations
from tests.services import running

__all__ = ["http", "operations", "test_a_screen_is_one_request", "viewer"]

pytestmark = pytest.mark.long

OPTIONS = ("statement_timeout", "timezone")
SERVER = "host=postgres.example port=5432 dbname=marquee user=marquee"
FOLDER = ROOT / "deploy" / "pgbouncer"
PASSWORD = "a password of the tests"


@contextmanager
def pooled(database_url: str, run_folder: Path) -> Iterator[str]:
    """The URL of a database behind pgbouncer, with its configuration as it is."""
    if (pgbouncer := shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")) is None:
        pytest.skip("pgbouncer is not installed")
    given = conninfo_to_dict(database_url)
    folder = run_folder / f"pgbouncer-{uuid4().hex[:8]}"
    folder.mkdir(mode=0o755)
    port = free_port()
    main = (FOLDER / "pgbouncer.ini").read_text().replace("listen_addr = *", "listen_addr = 127.0.0.1")
    main = main.replace("listen_port = 6432", f"listen_port = {port}\nunix_socket_dir =")
    (folder / "pgbouncer.ini").write_text(main)
    example = (FOLDER / "databases.ini.example").read_text()
    assert SERVER in example
    (folder / "databases.ini").write_text(example.replace(SERVER, as_options(given)))
    (folder / "users.txt").write_text(f'"{given["user"]}" "{PASSWORD}"\n')
    # It refuses to run as root. The account of the embedded Postgres may enter the folder of its socket.
    host = Path(str(given.get("host")))
    account = ["-u", host.owner() if host.is_dir() else "nobody"] if os.getuid() == 0 else []
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([pgbouncer, *account, "pgbouncer.ini"], cwd=folder, stderr=log)
    try:
        wait_for(lambda: process.poll() is not None or "process up" in (folder / "log").read_text())
        assert process.poll() is None, (folder / "log").read_text()
        yield f"postgresql://{given['user']}:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{port}/marquee"
    finally:
        process.terminate()
        process.wait(30)


def as_options(given: Mapping[str, object]) -> str:
    names = ("host", "port", "dbname", "user", "password")
    return " ".join(f"{name}={given[name]}" for name in names if name in given)


# These end with the module, as does the training that an example begins.
@pytest.fixture(scope="module")
def database_url(postgres_url: str, seeded_template: str) -> Iterator[str]:
    with cloned(postgres_url, seeded_template) as url:
        yield url


@pytest.fixture(scope="module")
def pooled_url(database_url: str, run_folder: Path) -> Iterator[str]:
    with pooled(database_url, run_folder) as url:
        yield url


@pytest.fixture(scope="module")
def server(database_url: str, pooled_url: str, model_dir: Path, run_folder: Path) -> Iterator[str]:
    """The address of a service whose requests use the pooler."""
    settings = {"DIRECT_DATABASE_URL": database_url, "DATABASE_PREPARED_STATEMENTS": "false"}
    with running(pooled_url, model_dir, run_folder, **settings) as service:
        yield service.url


@pytest.fixture(scope="module")
def ask(server: str, http: httpx.Client, operations: dict[str, str]) -> Ask:
    return asking(server, http, operations)


def test_each_example_works(server: str, database_url: str) -> None:
    works_for_its_user(Page(server, database_url))


def test_connections_to_postgres_keep_the_options_of_the_service(pooled_url: str) -> None:
    with psycopg.connect(pooled_url, options="-c statement_timeout=1") as connection:
        shown = [connection.execute(f"SHOW {name}".encode()).fetchone() for name in OPTIONS]
    milliseconds = Settings.model_fields["statement_timeout_ms"].default
    assert shown == [(f"{milliseconds // 1000}s",), ("UTC",)]
