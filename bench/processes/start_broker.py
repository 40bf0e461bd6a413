"""Run an Apache Kafka broker on loopback, without Docker: Maven fetches its jars once, Java runs them."""

import fcntl
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from bench.figures import ROOT
from bench.processes.die_with_parent import die_with_parent
from bench.processes.free_port import free_port

POM = ROOT / "deploy" / "kafka" / "pom.xml"
START_SECONDS, STOP_SECONDS, FETCH_SECONDS = 180, 30, 300
# One broker of a test or a short run: the second compiler and a parallel collector cost more than they save.
JVM = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
CLUSTER = "marquee-tests-0000000A"  # an id has 16 bytes in base64
PROPERTIES = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
controller.quorum.bootstrap.servers=127.0.0.1:{controller_port}
log.dirs={folder}/logs
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=3
transaction.state.log.replication.factor=1
transaction.state.log.num.partitions=3
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
"""


class BrokerError(Exception):
    """The broker cannot run on this machine; the message has the reason."""


@dataclass(slots=True)
class Broker:
    """A broker with its data in a folder, at the same address after each start."""

    folder: Path
    jars: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start, and wait until the broker answers. Raises BrokerError."""
        log = (self.folder / "broker.log").open("ab")
        command = [*java(self.jars), "kafka.Kafka", str(self.folder / "server.properties")]
        with log:
            self.process = subprocess.Popen(  # noqa: S603 - our own command
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent(),  # noqa: PLW1509 - it makes two system calls
            )
        deadline = time.monotonic() + START_SECONDS
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise BrokerError(f"Kafka did not start:\n{(self.folder / 'broker.log').read_text()}")
            time.sleep(0.1)

    def stop(self, *, kill: bool = False) -> None:
        if self.process is None:
            return
        if kill:
            self.process.kill()
        else:
            self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(STOP_SECONDS)
        self.process = None


@contextmanager
def running_broker(folder: Path) -> Iterator[Broker]:
    """Run a broker with its data in the folder. Raises BrokerError."""
    jars = fetched()
    folder.mkdir(parents=True, exist_ok=True)
    port, controller_port = free_port(), free_port()
    properties = folder / "server.properties"
    properties.write_text(
        PROPERTIES.format(port=port, controller_port=controller_port, folder=folder.resolve())
    )
    storage = [*java(jars), "kafka.tools.StorageTool"]
    output_of([*storage, "format", "-t", CLUSTER, "-c", str(properties), "--standalone"])
    broker = Broker(folder, jars, port)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


def output_of(command: list[str]) -> str:
    """The output of a tool of Kafka. Raises BrokerError, such as for a Java that is too old."""
    ran = subprocess.run(command, capture_output=True, check=False, text=True)  # noqa: S603 - our own command
    if ran.returncode:
        raise BrokerError(f"Kafka needs Java 17 or newer, and failed: {ran.stdout[-500:]}{ran.stderr[-500:]}")
    return ran.stdout


def java(jars: Path) -> list[str]:
    found = shutil.which("java")
    if found is None:
        raise BrokerError("Java is not installed: install Java 17 or newer (Debian: default-jre-headless)")
    return [found, *JVM, "-cp", f"{jars}/*"]


def fetched() -> Path:
    """The folder with the broker's jars, fetched by Maven at the first call. Raises BrokerError."""
    java(Path())
    folder = Path(sys.prefix) / f"kafka-{sha256(POM.read_bytes()).hexdigest()[:12]}"
    with (folder.parent / "kafka.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _fetch(folder)
    return folder


def _fetch(folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise BrokerError("Maven is not installed: install it (Debian: maven)")
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={partial}"]
    fetch = subprocess.run(  # noqa: S603 - our own command
        [maven, "--quiet", "--batch-mode", "--file", str(POM), *goal],
        capture_output=True,
        check=False,
        text=True,
        timeout=FETCH_SECONDS,
        env=os.environ,
    )
    if fetch.returncode:
        raise BrokerError(f"Maven cannot fetch Kafka: {fetch.stdout[-500:]}{fetch.stderr[-500:]}")
    partial.rename(folder)
