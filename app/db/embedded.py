"""The embedded Postgres, started by the first process that uses its folder and stopped by the last.

A process holds `DATA_DIR/start.lock` exclusively while it starts or stops the server. All users share
`DATA_DIR/users.lock`. A kernel lock ends with its process, so killed users do not count, and a leaving user
that can lock `users.lock` exclusively is the last one. A server that dies in use is restarted at the same
address.
"""

import fcntl
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from app.db.cluster import START_SECONDS, Cluster, EmbeddedPostgresError

__all__ = ["EmbeddedPostgresError", "embedded_postgres"]

log = logging.getLogger("marquee.postgres")

WATCH_SECONDS = 1.0
LONGEST_REST = 60.0  # seconds between attempts to restart a server
ENDING = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def embedded_postgres(data_dir: Path, *, options: Mapping[str, str] | None = None) -> Iterator[str]:
    """Use the server of `data_dir`, and start it if none runs. Yields its libpq URL.

    Any number of processes may use one folder. The server of a killed process is taken over. `options` are
    Postgres options, used only if this process starts the server. Raises `EmbeddedPostgresError`. SIGTERM and
    SIGHUP raise SystemExit unless the program handles them, so that `finally` blocks run.
    """
    data_dir = data_dir.expanduser().resolve()
    with _explained(data_dir):
        data_dir.mkdir(parents=True, exist_ok=True)
        users = _open(data_dir / "users.lock")
    with _handling(_unwind):
        try:
            with _explained(data_dir), _locked(data_dir / "start.lock"):
                fcntl.flock(users, fcntl.LOCK_SH)
                cluster = Cluster.of(data_dir)
                address = _attach_or_start(cluster, options or {})
            with _watched(cluster, data_dir / "start.lock", options or {}):
                yield address
        finally:
            _leave(data_dir, users)


@contextmanager
def _watched(cluster: Cluster, start_lock: Path, options: Mapping[str, str]) -> Iterator[None]:
    """Restart the server, from a thread, whenever it dies."""
    leaving = threading.Event()
    watch = threading.Thread(
        target=_watch, args=(cluster, start_lock, options, leaving), name="postgres-watch", daemon=True
    )
    watch.start()
    try:
        yield
    finally:
        leaving.set()
        watch.join()


def _watch(cluster: Cluster, start_lock: Path, options: Mapping[str, str], leaving: threading.Event) -> None:
    rest = WATCH_SECONDS
    while not leaving.wait(rest):
        if cluster.postmaster() is not None:
            continue
        try:
            with _locked(start_lock):
                if leaving.is_set() or cluster.postmaster() is not None:
                    continue  # another process has restarted it
                log.error("the embedded Postgres in %s has died; restarting it", cluster.data)
                cluster.start(options)
        except (EmbeddedPostgresError, OSError, subprocess.SubprocessError) as error:
            rest = min(2 * rest, LONGEST_REST)
            log.error("the embedded Postgres does not start; retrying in %.0f s: %s", rest, error)  # noqa: TRY400 - no traceback for operators
        else:
            rest = WATCH_SECONDS
            log.warning("the embedded Postgres in %s is running again", cluster.data)


def _attach_or_start(cluster: Cluster, options: Mapping[str, str]) -> str:
    deadline = time.monotonic() + START_SECONDS
    while (address := cluster.address()) is None and cluster.postmaster() is not None:
        if time.monotonic() > deadline:
            raise EmbeddedPostgresError(
                f"A Postgres runs in {cluster.data} but does not answer. {cluster.end_of_log()}"
            )
        time.sleep(0.1)  # it is starting or stopping
    if address is not None:
        return address
    if not cluster.exists():
        cluster.initialize()
    return cluster.start(options)


def _leave(data_dir: Path, users: int) -> None:
    try:
        with _handling(signal.SIG_IGN), _locked(data_dir / "start.lock"):
            if _lock_at_once(users, fcntl.LOCK_EX):
                Cluster.of(data_dir).stop()
    finally:
        os.close(users)


@contextmanager
def _explained(data_dir: Path) -> Iterator[None]:
    """Raise OSError and timeouts as EmbeddedPostgresError."""
    try:
        yield
    except subprocess.TimeoutExpired as error:
        raise EmbeddedPostgresError(
            f"{error.cmd[0]} took longer than {error.timeout:.0f} seconds in {data_dir}."
        ) from error
    except OSError as error:
        name = f" ({error.filename})" if error.filename else ""
        raise EmbeddedPostgresError(
            f"{data_dir} cannot hold the database: {error.strerror}{name}. Set DATA_DIR to another folder."
        ) from error


def _unwind(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    raise SystemExit(128 + number)


@contextmanager
def _handling(handler: signal.Handlers | Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handle SIGTERM and SIGHUP, unless the program handles them."""
    here = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in ENDING if here}
    ours = [number for number, found in before.items() if found in (signal.SIG_DFL, _unwind)]
    for number in ours:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, before[number])


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = _open(path)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _lock_at_once(descriptor: int, operation: int) -> bool:
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
