import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import psycopg
import pytest

from app.db import cluster
from app.db.embedded import EmbeddedPostgresError, embedded_postgres

ROOT = Path(__file__).parents[3]

# A program that uses the server until its input ends, or until a signal.
USER = """
import sys
from pathlib import Path
import psycopg
from app.db.embedded import embedded_postgres
with embedded_postgres(Path(sys.argv[1])) as url:
    try:
        print(url, flush=True)
        sys.stdin.read()
    except KeyboardInterrupt:
        with psycopg.connect(url) as connection:
            print(connection.execute("SELECT 'still answers'").fetchone()[0], flush=True)
"""


@pytest.fixture
def data_dir(run_folder: Path) -> Path:
    return Path(tempfile.mkdtemp(prefix="embedded-", dir=run_folder))


@pytest.fixture
def start_user() -> Iterator[Callable[[Path], subprocess.Popen[str]]]:
    """Starts a process that uses the server of a folder; returns once it does."""
    with ExitStack() as stack:

        def start(data_dir: Path) -> subprocess.Popen[str]:
            user = subprocess.Popen(
                [sys.executable, "-c", USER, str(data_dir)],
                cwd=ROOT,
                start_new_session=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.callback(user.kill)
            assert user.stdout is not None
            assert user.stdout.readline().startswith("postgresql://")
            return user

        yield start


def finish(user: subprocess.Popen[str]) -> int:
    user.communicate(timeout=60)
    return user.returncode


def servers_of(data_dir: Path) -> list[psutil.Process]:
    folder = str(data_dir / "postgres")
    return [
        process
        for process in psutil.process_iter(["name", "cmdline"])
        if process.info["name"] == "postgres" and folder in (process.info["cmdline"] or [])
    ]


def value(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query).fetchone()
        assert row is not None
        return row[0]


def test_data_persists_and_no_process_remains(data_dir: Path) -> None:
    with embedded_postgres(data_dir) as url:
        with psycopg.connect(url) as connection:
            connection.execute("CREATE EXTENSION vector")
            connection.execute("CREATE TABLE movies AS SELECT '[1,2]'::vector AS embedding")
        assert len(servers_of(data_dir)) == 1
    assert servers_of(data_dir) == []
    with embedded_postgres(data_dir) as url:
        assert value(url, "SELECT embedding::text FROM movies") == "[1,2]"
    assert servers_of(data_dir) == []


def test_an_acknowledged_write_is_on_disk(data_dir: Path) -> None:
    with embedded_postgres(data_dir) as url:
        assert value(url, "SHOW fsync") == "on"
        assert value(url, "SHOW synchronous_commit") == "on"
        assert value(url, "SHOW full_page_writes") == "on"


def test_only_its_own_account_can_connect(data_dir: Path) -> None:
    with embedded_postgres(data_dir) as url:
        folder = data_dir / "postgres"
        assert folder.stat().st_mode & 0o077 == 0
        assert str(folder) in url
        assert value(url, "SHOW listen_addresses") == ""


def test_the_last_user_stops_it(data_dir: Path, start_user: Callable[[Path], subprocess.Popen[str]]) -> None:
    first = start_user(data_dir)
    with embedded_postgres(data_dir) as url:
        assert finish(first) == 0
        assert value(url, "SELECT 1") == 1
    assert servers_of(data_dir) == []


def test_a_killed_users_server_is_taken_over(
    data_dir: Path, start_user: Callable[[Path], subprocess.Popen[str]]
) -> None:
    user = start_user(data_dir)
    user.kill()
    finish(user)
    (left,) = servers_of(data_dir)
    with embedded_postgres(data_dir) as url:
        assert value(url, "SELECT 1") == 1
        assert servers_of(data_dir) == [left]
    assert servers_of(data_dir) == []


def test_restarts_after_user_and_server_were_killed(
    data_dir: Path, start_user: Callable[[Path], subprocess.Popen[str]]
) -> None:
    user = start_user(data_dir)
    (server,) = servers_of(data_dir)
    server.kill()
    user.kill()
    finish(user)
    with embedded_postgres(data_dir) as url:
        assert value(url, "SELECT 1") == 1


@pytest.mark.parametrize("name", ["folder", "deep/" * 30 + "folder"])
def test_a_server_that_dies_is_restarted_at_the_same_address(data_dir: Path, name: str) -> None:
    with embedded_postgres(data_dir / name) as url:
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE movies AS SELECT 1 AS id")
        for _ in range(2):
            (server,) = servers_of(data_dir / name)
            server.kill()
            deadline = time.monotonic() + 60
            while servers_of(data_dir / name) in ([], [server]) or not answers(url):
                assert time.monotonic() < deadline
                time.sleep(0.1)
            assert value(url, "SELECT id FROM movies") == 1
    assert servers_of(data_dir / name) == []


def answers(url: str) -> bool:
    try:
        return value(url, "SELECT 1") == 1
    except psycopg.OperationalError:
        return False


def test_a_missing_server_of_a_folder_in_use_is_started(
    data_dir: Path, start_user: Callable[[Path], subprocess.Popen[str]]
) -> None:
    user = start_user(data_dir)
    (server,) = servers_of(data_dir)
    server.kill()
    with embedded_postgres(data_dir) as url:
        assert value(url, "SELECT 1") == 1
        assert finish(user) == 0
        assert value(url, "SELECT 1") == 1
    assert servers_of(data_dir) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_stops_the_server_too(
    data_dir: Path, start_user: Callable[[Path], subprocess.Popen[str]], number: signal.Signals
) -> None:
    user = start_user(data_dir)
    user.send_signal(number)
    assert finish(user) == (0 if number is signal.SIGINT else 128 + number)
    assert servers_of(data_dir) == []


def test_ctrl_c_in_a_terminal_leaves_the_server_to_its_user(
    data_dir: Path, start_user: Callable[[Path], subprocess.Popen[str]]
) -> None:
    user = start_user(data_dir)
    os.killpg(user.pid, signal.SIGINT)  # a terminal sends it to the whole group
    said, _ = user.communicate(timeout=60)
    assert said == "still answers\n"
    assert servers_of(data_dir) == []


def test_a_stale_pid_is_ignored(data_dir: Path) -> None:
    with embedded_postgres(data_dir):
        lines = (data_dir / "postgres" / "postmaster.pid").read_text().splitlines()
    with psutil.Popen(["sleep", "600"]) as other:  # as after a reboot
        account = (data_dir / "postgres").stat()
        pid_file = data_dir / "postgres" / "postmaster.pid"
        pid_file.write_text("\n".join([str(other.pid), *lines[1:], ""]))
        os.chown(pid_file, account.st_uid, account.st_gid)
        with embedded_postgres(data_dir) as url:
            assert value(url, "SELECT 1") == 1
        assert other.is_running()
        other.kill()


@pytest.mark.parametrize("name", ["deep/" * 30 + "folder", "a folder's näme?&x=%41 #+"])
def test_folders_with_unusual_names(data_dir: Path, name: str) -> None:
    for _ in range(2):
        with embedded_postgres(data_dir / name) as url:
            socket_folder = Path(str(value(url, "SHOW unix_socket_directories")))
            assert socket_folder.stat().st_mode & 0o077 == 0
        assert not socket_folder.exists()


def test_an_interrupted_first_start_is_repeated(data_dir: Path) -> None:
    (data_dir / "postgres.new").mkdir()
    (data_dir / "postgres.new" / "PG_VERSION").write_text("18\n")
    with embedded_postgres(data_dir) as url:
        assert value(url, "SELECT 1") == 1


def test_a_damaged_database_is_explained(data_dir: Path) -> None:
    with embedded_postgres(data_dir):
        pass
    (data_dir / "postgres" / "global" / "pg_control").unlink()
    with pytest.raises(EmbeddedPostgresError, match="pg_control"), embedded_postgres(data_dir):
        pass


def test_other_files_are_not_touched(data_dir: Path) -> None:
    (data_dir / "postgres").mkdir()
    (data_dir / "postgres" / "letter.txt").write_text("dear")
    with (
        pytest.raises(EmbeddedPostgresError, match="holds files but no database"),
        embedded_postgres(data_dir),
    ):
        pass
    assert (data_dir / "postgres" / "letter.txt").read_text() == "dear"


def test_a_folder_that_cannot_be_created_is_explained(data_dir: Path) -> None:
    (data_dir / "file").touch()
    with (
        pytest.raises(EmbeddedPostgresError, match="Not a directory"),
        embedded_postgres(data_dir / "file" / "x"),
    ):
        pass


@pytest.mark.parametrize(
    ("memory", "buffers"), [(1 << 30, 128 << 20), (8 << 30, 512 << 20), (256 << 30, 2 << 30)]
)
def test_shared_buffers_follow_the_memory(memory: int, buffers: int) -> None:
    assert cluster.shared_buffers(memory) == buffers


def test_a_limit_of_the_container_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine = cluster.memory_limit()
    (tmp_path / "limit").write_text(f"{1 << 29}\n")
    (tmp_path / "none").write_text("max\n")
    monkeypatch.setattr(cluster, "CGROUP_LIMITS", (tmp_path / "none", tmp_path / "missing"))
    assert cluster.memory_limit() >= machine
    monkeypatch.setattr(cluster, "CGROUP_LIMITS", (tmp_path / "none", tmp_path / "limit"))
    assert cluster.memory_limit() == 1 << 29
