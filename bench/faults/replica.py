"""A Postgres and a streaming replica of it, from the embedded binaries."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from app.db.cluster import Cluster

WAIT_SECONDS, POLL_SECONDS = 60.0, 0.02
# Processes are killed and not the machine, so the operating system writes what Postgres has given it.
OPTIONS = {
    "fsync": "off",
    "autovacuum": "off",
    "shared_buffers": "32MB",
    "wal_level": "replica",
    "max_wal_senders": "10",
}


@dataclass(frozen=True, slots=True)
class Pair:
    """`addresses`: of the primary and of the replica, for the database `postgres`."""

    primary: Cluster
    replica: Cluster
    addresses: tuple[str, str]

    @property
    def url(self) -> str:
        """The URL of both hosts; the replica comes first, so that its refusal matters."""
        hosts = ",".join(str(conninfo_to_dict(address)["host"]) for address in reversed(self.addresses))
        return f"postgresql://postgres@/postgres?host={hosts}&port=5432,5432"

    def wait_for_each_commit(self) -> None:
        """Acknowledge commits from now on once the replica has them on its disk."""
        with psycopg.connect(self.addresses[0], autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            connection.execute("SELECT pg_reload_conf()")
            wait(lambda: ("sync",) in connection.execute("SELECT sync_state FROM pg_stat_replication"))

    def break_stream(self) -> None:
        """Stop the process of the primary that sends its log."""
        with psycopg.connect(self.addresses[0]) as connection:
            for (sender,) in connection.execute("SELECT pid FROM pg_stat_replication"):
                psutil.Process(sender).suspend()

    def kill_primary(self) -> None:
        """Kill all processes of the primary at one moment."""
        postmaster = self.primary.postmaster()
        assert postmaster is not None
        postmaster.suspend()  # it would start others
        for process in (*postmaster.children(recursive=True), postmaster):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)

    def hold_replay(self) -> None:
        """Let the replica receive the log and not replay it, until `replay`."""
        with psycopg.connect(self.addresses[1], autocommit=True) as connection:
            connection.execute("SELECT pg_wal_replay_pause()")
            paused = "SELECT pg_get_wal_replay_pause_state()"
            wait(lambda: connection.execute(paused).fetchone() == ("paused",))

    def replay(self) -> None:
        with psycopg.connect(self.addresses[1], autocommit=True) as connection:
            connection.execute("SELECT pg_wal_replay_resume()")

    def promote(self) -> None:
        with psycopg.connect(self.addresses[1], autocommit=True) as connection:
            connection.execute("SELECT pg_promote()")


@contextmanager
def replicated(folder: Path, fill: Callable[[str], None]) -> Iterator[Pair]:
    """Run a primary, whose database `fill` fills first, and a replica. `folder` must let others through."""
    clusters = []
    for name in ("primary", "replica"):
        (folder / name).mkdir()
        (folder / name).chmod(0o711)  # under root, Postgres runs as another account
        clusters.append(Cluster.of(folder / name))
    primary, replica = clusters
    try:
        primary.initialize()
        address = primary.start(OPTIONS)
        fill(address)
        replica.data.mkdir(mode=0o700)
        replica.give(replica.data)
        copied = replica.run("pg_basebackup", "-d", address, "-D", str(replica.data), "-R", "-c", "fast")
        assert copied, replica.end_of_log()
        (replica.data / ".s.PGSQL.5432.lock").unlink(missing_ok=True)  # of the socket of the primary
        yield Pair(primary, replica, (address, replica.start(OPTIONS)))
    finally:
        for cluster in clusters:
            cluster.stop()


def wait(found: Callable[[], object]) -> None:
    """Raises TimeoutError."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not found():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(POLL_SECONDS)


def count(address: str, query: sql.SQL, *parameters: object) -> int:
    with psycopg.connect(address) as connection:
        ((found,),) = connection.execute(query, parameters or None).fetchall()
    return int(found)
