"""Two processes of the service behind the balancer of `deploy/haproxy`, and clients of it."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

import httpx
import pytest

from bench.processes.free_port import free_port
from tests.conftest import ROOT
from tests.services import Service, running

SERVERS = ("service-1", "service-2")
WAIT_SECONDS = 120
FIGURE = re.compile(
    r'^haproxy_server_(\w+)\{proxy="(\w+)",server="([\w-]+)"(?:,\w+="(\w+)")?\} (\d+)', re.MULTILINE
)


def wait_for(found: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@dataclass(slots=True)
class Balanced:
    """A balancer. `runtime`: its runtime API."""

    url: str
    figures_url: str
    runtime: str

    def figures(self, name: str, backend: str = "requests") -> dict[str, int]:
        """A figure of each server, from the balancer's metrics."""
        text = httpx.get(f"{self.figures_url}/metrics").text
        return {
            server: int(value)
            for figure, proxy, server, state, value in FIGURE.findall(text)
            if (figure, proxy) == (name, backend) and state in ("", "UP")
        }

    def is_up(self, server: str) -> bool:
        return self.figures("status")[server] == 1


@contextmanager
def balanced(ports: Mapping[str, str]) -> Iterator[Balanced]:
    """Start the balancer, with its configuration as it is, and wait until the servers on the ports are up."""
    if (haproxy := shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")) is None:
        pytest.skip("haproxy is not installed")
    listen, figures, runtime = (f"127.0.0.1:{free_port()}" for _ in range(3))
    addresses = {"LISTEN": listen, "FIGURES": figures, "RUNTIME": runtime}
    for server, port in ports.items():
        addresses[server.upper().replace("-", "_")] = f"127.0.0.1:{port}"
    process = subprocess.Popen(
        [haproxy, "-f", str(ROOT / "deploy" / "haproxy" / "haproxy.cfg")],
        env={**os.environ, **addresses},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        made = Balanced(f"http://{listen}", f"http://{figures}", runtime)
        wait_for(lambda: process.poll() is not None or is_answered(f"{made.figures_url}/healthz"))
        wait_for(lambda: all(map(made.is_up, ports)))
        yield made
    finally:
        process.terminate()
        process.wait(WAIT_SECONDS)


@dataclass(slots=True)
class Cluster(Balanced):
    """`start(server)` starts the process of a server on its port."""

    start: Callable[[str], None]
    services: dict[str, Service]

    def kill(self, server: str) -> None:
        os.kill(self.services[server].pid, signal.SIGKILL)
        self.services[server].process.join(WAIT_SECONDS)

    def stop(self, server: str) -> None:
        """Stop a process as a deployment does, and wait for its end."""
        self.services[server].process.terminate()
        self.services[server].process.join(WAIT_SECONDS)
        assert self.services[server].process.exitcode == -signal.SIGTERM


@contextmanager
def cluster(database_url: str, model_dir: Path, run_folder: Path, **settings: str) -> Iterator[Cluster]:
    """Start both processes and the balancer."""
    ports = {server: str(free_port()) for server in SERVERS}
    services: dict[str, Service] = {}
    with ExitStack() as stack:

        def start(server: str) -> None:
            further = {"PORT": ports[server], "DRAIN_SECONDS": "3", **settings}
            services[server] = stack.enter_context(running(database_url, model_dir, run_folder, **further))

        for server in SERVERS:
            start(server)
        made = stack.enter_context(balanced(ports))
        yield Cluster(made.url, made.figures_url, made.runtime, start, services)


def is_answered(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


@dataclass(slots=True)
class Load:
    """Requests of several clients on connections that they keep, until the block ends.

    pause: seconds of a client between an answer and its next request.
    """

    pause: float = 0.02
    failures: list[str] = field(default_factory=list)
    answers: int = 0

    def send(self, url: str, request: Callable[[httpx.Client, int], httpx.Response], done: Event) -> None:
        with httpx.Client(base_url=url, timeout=30) as client:
            number = 0
            while not done.wait(self.pause):
                number += 1
                try:
                    answer = request(client, number)
                except httpx.TransportError as error:
                    self.failures.append(repr(error))
                    continue
                if answer.status_code != 200 or "errors" in answer.json():
                    self.failures.append(f"{answer.status_code} {answer.text}")
                self.answers += 1

    @contextmanager
    def running(self, url: str, *requests: Callable[[httpx.Client, int], httpx.Response]) -> Iterator["Load"]:
        done = Event()
        threads = [Thread(target=self.send, args=(url, request, done)) for request in requests]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            done.set()
            for thread in threads:
                thread.join()
