"""The processes that are killed: they are started again at once, as an init system does."""

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg

from app.db import migrations
from app.db.cluster import Cluster
from app.db.embedded import embedded_postgres
from bench.figures import ROOT
from bench.live.parts import Parts
from bench.live.stream import make_topic
from bench.overload import NO_LIMITS
from bench.processes.die_with_parent import die_with_parent
from bench.processes.free_port import free_port
from bench.processes.start_broker import Broker, running_broker
from bench.processes.start_service import PROGRAM

API, INGESTER, TRAINER, BROKER, POSTGRES = TARGETS = ("API", "ingester", "trainer", "broker", "Postgres")
TOPIC = "faults"
MOVIES = 150
STOP_SECONDS, POLL_SECONDS = 60, 0.05
QUEUE = """
INSERT INTO training_jobs (status) SELECT 'QUEUED'
WHERE NOT EXISTS (SELECT FROM training_jobs WHERE status IN ('QUEUED', 'RUNNING'))
"""


@dataclass(slots=True)
class Fleet:
    """A broker, Postgres, the service with its trainer, and an ingester. `kills` and `ends` count by process.

    `ends`: processes that ended by themselves, such as for a Postgres that does not answer at their start.
    """

    folder: Path
    environment: Mapping[str, str]
    broker: Broker
    database_url: str
    url: str
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    kills: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    starting: Future[None] | None = None  # of the broker
    starter: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))

    def tend(self, seconds: float) -> None:
        """Start again what ends, for this time."""
        until = time.monotonic() + seconds
        while True:
            for name, process in self.processes.items():
                if process.poll() is not None:
                    self.ends[name] += 1
                    self.start(name)
            if time.monotonic() > until:
                return
            time.sleep(POLL_SECONDS)

    def start(self, name: str) -> None:
        command = {API: ["serve"], INGESTER: ["ingest", "kafka", TOPIC]}[name]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(  # noqa: S603 - our own commands
                [*PROGRAM, *command],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent(),  # noqa: PLW1509 - it makes two system calls
            )

    def kill(self, name: str) -> bool:
        """Kill a process with SIGKILL, and start it again; False if it does not run."""
        if name == BROKER:
            if self.starting is not None:
                self.starting.result()
            self.broker.stop(kill=True)
            self.starting = self.starter.submit(self.broker.start)
        elif name in self.processes:
            self.processes[name].kill()
            self.processes[name].wait()
            self.start(name)
        else:
            process = self._postmaster() if name == POSTGRES else self._trainer()
            if process is None:
                return False
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.kills[name] += 1
        return True

    def _postmaster(self) -> psutil.Process | None:
        """Postgres, which the service, the ingester or this process starts again."""
        return Cluster.of(self.folder / "data").postmaster()

    def _trainer(self) -> psutil.Process | None:
        """The training subprocess, if one runs."""
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.processes[API].pid).children():
                if "app.training" in child.cmdline():
                    return child
        return None

    def queue_training(self) -> None:
        """Add a training to the queue, unless one is there or Postgres does not answer."""
        with suppress(psycopg.Error), psycopg.connect(self.database_url, connect_timeout=5) as connection:
            connection.execute(QUEUE)

    def stop(self) -> None:
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()
        self.starter.shutdown()


@contextmanager
def running_fleet(folder: Path) -> Iterator[Fleet]:
    """Run the processes on a small catalog without ratings. Raises BrokerError."""
    folder.chmod(0o711)  # under root, Postgres runs as another account
    with ExitStack() as stack:
        broker = stack.enter_context(running_broker(folder / "kafka"))
        make_topic(broker.address, TOPIC)
        database_url = stack.enter_context(embedded_postgres(folder / "data"))
        migrations.upgrade(database_url)
        with psycopg.connect(database_url) as connection:
            connection.execute(
                "INSERT INTO movies (title, year) "
                "SELECT 'Movie ' || n, 1990 FROM generate_series(0, %s - 1) AS n",
                (MOVIES,),
            )
        port = free_port()
        settings = {
            "DATA_DIR": str(folder / "data"),
            "PORT": str(port),
            "KAFKA_BROKERS": broker.address,
            "KAFKA_PROPERTIES": str(folder / "kafka.properties"),
            "TRAINING_STALE_SECONDS": "3",
            "TRAINING_GATE": "false",  # members rate at random, and the same movies again
            "COLUMNS": "200",
        }
        # A killed member of the group is missed after this time.
        (folder / "kafka.properties").write_text("session.timeout.ms=2000\nheartbeat.interval.ms=500\n")
        environment = Parts(folder, settings | NO_LIMITS).environment()
        environment["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", "1")
        fleet = Fleet(folder, environment, broker, database_url, f"http://127.0.0.1:{port}")
        stack.callback(fleet.stop)
        for name in (API, INGESTER):
            fleet.start(name)
        yield fleet
