"""The Postgres that comes with the package, started from a private folder and stopped by its last user.

`DATA_DIR/start.lock` is held alone by whoever starts or stops the server; `DATA_DIR/users.lock` is shared by
all who use it. A kernel lock ends with its process, so a killed user is never counted, and whoever leaves and
can take `users.lock` alone is the last one.
"""

import fcntl
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from app.postgres_cluster import START_SECONDS, Cluster, EmbeddedPostgresError

__all__ = ["EmbeddedPostgresError", "embedded_postgres"]

ENDING = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def embedded_postgres(data_dir: Path, *, options: Mapping[str, str] | None = None) -> Iterator[str]:
    """Use the server of `data_dir`, starting it when none runs; gives its address as libpq reads it.

    Any number of processes may use one folder. The server of a process that was killed is taken over.
    `options` are Postgres's own and count only for whoever starts the server. Raises `EmbeddedPostgresError`.
    SIGTERM and SIGHUP, where the program does not handle them, leave by way of every `finally`.
    """
    data_dir = data_dir.expanduser().resolve()
    with _explained(data_dir):
        data_dir.mkdir(parents=True, exist_ok=True)
        users = _open(data_dir / "users.lock")
    with _handling(_unwind):
        try:
            with _explained(data_dir), _locked(data_dir / "start.lock"):
                alone = _lock_at_once(users, fcntl.LOCK_EX)
                fcntl.flock(users, fcntl.LOCK_SH)
                address = _attach_or_start(Cluster.of(data_dir), options or {}, alone=alone)
            yield address
        finally:
            _leave(data_dir, users)


def _attach_or_start(cluster: Cluster, options: Mapping[str, str], *, alone: bool) -> str:
    deadline = time.monotonic() + START_SECONDS
    while (address := cluster.address()) is None and cluster.postmaster() is not None:
        if time.monotonic() > deadline:
            raise EmbeddedPostgresError(
                f"A Postgres runs in {cluster.data} but does not answer. {cluster.last_words()}"
            )
        time.sleep(0.1)  # it is starting or stopping
    if address is not None:
        return address
    if not alone:
        raise EmbeddedPostgresError(
            f"Another process still uses {cluster.data}, but its Postgres is gone. Stop that process first."
        )
    if not cluster.exists():
        cluster.initialise()
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
    """Handle the signals that end a program, unless the program does so itself."""
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
