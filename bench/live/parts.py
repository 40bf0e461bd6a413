"""Processes that run together: start them, notice that one has ended, stop all of them."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from app.settings import Settings
from bench.figures import ROOT
from bench.processes.die_with_parent import die_with_parent
from bench.processes.start_broker import Broker
from bench.processes.start_service import PROGRAM, address_in

STOP_SECONDS, READY_SECONDS = 60, 60
INGESTER_STOP_SECONDS = 15  # killed, it loses nothing
SHOWN_LINES = 15  # of the log of a part that ended
OWN = frozenset(Settings.model_fields)
PROMETHEUS = ROOT / "deploy" / "prometheus"
TARGETS = '["api-1:9464", "api-2:9464", "ingest:9464"]'  # in prometheus.yml


class PartFailed(Exception):
    """A part ended, or did not start; the message has the end of its log."""

    def __init__(self, part: str, message: str) -> None:
        super().__init__(message)
        self.part = part


@dataclass(frozen=True, slots=True)
class Part:
    name: str
    process: subprocess.Popen[bytes]
    log: Path
    stop_seconds: float = STOP_SECONDS

    def failure(self) -> PartFailed:
        lines = self.log.read_text(errors="replace").splitlines()[-SHOWN_LINES:]
        ended = self.process.poll()
        state = "did not start" if ended is None else f"ended with status {ended}"
        return PartFailed(self.name, "\n".join([f"{self.name} {state}:", *(f"  {line}" for line in lines)]))


@dataclass(slots=True)
class Parts:
    """Processes with logs in a folder and the same settings. `stop` ends them, the last one first.

    Settings of our own environment, such as DATABASE_URL, do not apply to them.
    """

    folder: Path
    settings: dict[str, str]
    started: list[Part] = field(default_factory=list)
    watched: list[Part] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        return {key: value for key, value in os.environ.items() if key.lower() not in OWN} | self.settings

    def start(
        self, name: str, command: Sequence[str], stop_seconds: float = STOP_SECONDS, **settings: str
    ) -> Part:
        """Start a process in a session of its own: Ctrl-C on the terminal does not reach it.

        `settings`: those in which it differs from the others.
        """
        log = self.folder / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - our own commands
                command,
                cwd=ROOT,
                env=self.environment() | settings,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=die_with_parent(),  # noqa: PLW1509 - it makes two system calls
            )
        part = Part(name, process, log, stop_seconds)
        self.started.append(part)
        self.watched.append(part)
        return part

    def watch_broker(self, broker: Broker) -> None:
        """Watch the broker too, which `running_broker` stops."""
        assert broker.process is not None
        self.watched.append(Part("broker", broker.process, broker.folder / "broker.log"))

    def check(self) -> None:
        """Raise PartFailed if a process has ended."""
        for part in self.watched:
            if part.process.poll() is not None:
                raise part.failure()

    def wait_for(self, part: Part, is_ready: Callable[[], bool]) -> None:
        """Wait until a part is ready. Raises PartFailed."""
        deadline = time.monotonic() + READY_SECONDS
        while not is_ready():
            self.check()
            if time.monotonic() > deadline:
                raise part.failure()
            time.sleep(0.1)

    def stop(self) -> None:
        for part in reversed(self.started):
            part.process.terminate()
            try:
                part.process.wait(part.stop_seconds)
            except subprocess.TimeoutExpired:
                # Its descendants, such as a training, are in its session.
                with suppress(ProcessLookupError):
                    os.killpg(part.process.pid, signal.SIGKILL)
                part.process.wait()
        self.started.clear()
        self.watched.clear()


def start_service(parts: Parts) -> tuple[Part, str]:
    """Start the service as `make run` does, and return it with its address. Raises PartFailed."""
    part = parts.start("service", [*PROGRAM, "serve", "--prepare"])
    try:
        return part, address_in(part.log, part.process)
    except RuntimeError:
        raise part.failure() from None


def start_ingester(parts: Parts, topic: str, metrics: str | None = None) -> Part:
    """Start the ingester. `metrics`: where it serves them, host:port."""
    settings = {} if metrics is None else {"METRICS_PORT": metrics.rpartition(":")[2]}
    command = [*PROGRAM, "ingest", "kafka", topic]
    return parts.start("ingester", command, INGESTER_STOP_SECONDS, **settings)


def start_prometheus(parts: Parts, port: int, *metrics: str) -> str | None:
    """Start Prometheus with the configuration and alerts of `deploy/prometheus`; None if it is missing.

    Returns its address. Raises PartFailed.
    """
    program = shutil.which("prometheus")
    if program is None:
        return None
    folder = parts.folder / "prometheus"
    shutil.copytree(PROMETHEUS, folder)
    config = (folder / "prometheus.yml").read_text()
    assert TARGETS in config, "the targets of the configuration have other names"
    (folder / "prometheus.yml").write_text(config.replace(TARGETS, json.dumps(metrics)))
    address = f"127.0.0.1:{port}"
    options = {
        "config.file": folder / "prometheus.yml",
        "storage.tsdb.path": folder / "data",
        "web.listen-address": address,
    }
    command = [program, *(f"--{name}={value}" for name, value in options.items())]
    part = parts.start("prometheus", command)

    def is_ready() -> bool:
        with suppress(httpx.HTTPError):
            return httpx.get(f"http://{address}/-/ready").is_success
        return False

    parts.wait_for(part, is_ready)
    return f"http://{address}"
