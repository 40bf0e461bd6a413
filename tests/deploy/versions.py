"""Versions of the service that a release replaces, and a Prometheus that watches them."""

import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

import pytest

from bench.processes.free_port import free_port
from tests.deploy.cluster import SERVERS, is_answered, wait_for

# The line of the shell by which a release starts a version; `Versions.following` follows it.
STARTS = (
    'echo "$RELEASE_VERSION" > order; mv order "$RELEASE_SERVER"; '
    'while [ -e "$RELEASE_SERVER" ]; do sleep 0.1; done'
)
# The settings in which the versions differ. No query is that fast.
VERSIONS = {"good": {}, "better": {"CACHE_SECONDS": "30"}, "bad": {"EXECUTION_SECONDS": "0.0001"}}

Ports = dict[str, str]  # by server


def free_ports() -> Ports:
    return {server: str(free_port()) for server in SERVERS}


@dataclass(slots=True)
class Versions:
    """Versions of the service on the ports of the servers. `serve` runs a process until its stack ends."""

    serve: Callable[[ExitStack, dict[str, str]], object]
    ports: Ports = field(default_factory=free_ports)
    metrics: Ports = field(default_factory=free_ports)
    running: dict[str, tuple[str, ExitStack]] = field(default_factory=dict)

    def start(self, server: str, version: str) -> None:
        """Stop the version of a server as a deployment does, and start another one in its place."""
        self.stop(server)
        own = {"PORT": self.ports[server], "METRICS_PORT": self.metrics[server], "DRAIN_SECONDS": "3"}
        stack = ExitStack()
        self.serve(stack, own | VERSIONS[version])
        self.running[server] = version, stack

    def stop(self, server: str) -> None:
        if server in self.running:
            _, stack = self.running.pop(server)
            stack.close()

    def current(self) -> dict[str, str]:
        return {server: version for server, (version, _) in sorted(self.running.items())}

    @contextmanager
    def following(self, folder: Path) -> Iterator[None]:
        """Start what STARTS asks for in the folder."""
        done = Event()

        def follow() -> None:
            while not done.wait(0.05):
                for server in SERVERS:
                    if (order := folder / server).exists():
                        self.start(server, order.read_text().strip())
                        order.unlink()

        thread = Thread(target=follow)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


@contextmanager
def prometheus(ports: Iterable[str], folder: Path) -> Iterator[str]:
    """The address of a Prometheus that scrapes the servers each second."""
    if (program := shutil.which("prometheus")) is None:
        pytest.skip("prometheus is not installed")
    targets = ", ".join(f'"127.0.0.1:{port}"' for port in ports)
    (folder / "prometheus.yml").write_text(
        "global: { scrape_interval: 1s }\n"
        f"scrape_configs: [{{ job_name: marquee, static_configs: [{{ targets: [{targets}] }}] }}]\n"
    )
    address = f"127.0.0.1:{free_port()}"
    options = (
        "--config.file=prometheus.yml",
        f"--web.listen-address={address}",
        "--storage.tsdb.path=prometheus",
    )
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen([program, *options], cwd=folder, stderr=log)
    try:
        wait_for(lambda: process.poll() is not None or is_answered(f"http://{address}/-/ready"))
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(30)
