"""Versions of a small service that a release replaces, and a Prometheus that watches them."""

import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest

from tests.deploy.cluster import SERVERS, free_port, is_answered, wait_for

# The line of the shell by which a release starts a version; `Films.following` follows it.
STARTS = (
    'echo "$RELEASE_VERSION" > order; mv order "$RELEASE_SERVER"; '
    'while [ -e "$RELEASE_SERVER" ]; do sleep 0.1; done'
)


class Film(ThreadingHTTPServer):
    """A version of a service that answers as much as the balancer, Prometheus and clients ask for."""

    daemon_threads = True
    version = "good"
    answers: Counter[int]

    def handle_error(self, *_: object) -> None:
        """Print nothing for a check that is closed before its answer is read."""


class Handler(BaseHTTPRequestHandler):
    server: Film  # a connection each, so that none outlives it

    def do_GET(self) -> None:
        status, body = 200, b"{}"
        if self.path == "/metrics":
            counts = self.server.answers
            lines = [f'marquee_http_responses_total{{status="{key}"}} {n}' for key, n in counts.items()]
            body = "\n".join([*lines, f"marquee_operation_seconds_count {counts.total()}", ""]).encode()
        elif self.path.startswith("/graphql"):
            status = 500 if self.server.version == "bad" else 200
            self.server.answers[status] += 1
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@dataclass(slots=True)
class Films:
    """The versions on the ports of the servers. `start` starts one in the place of another."""

    ports: dict[str, str]
    running: dict[str, Film] = field(default_factory=dict)

    def start(self, server: str, version: str) -> None:
        self.stop(server)
        film = self.running[server] = Film(("127.0.0.1", int(self.ports[server])), Handler)
        film.version, film.answers = version, Counter({200: 0, 500: 0})
        Thread(target=film.serve_forever, args=(0.05,)).start()

    def stop(self, server: str) -> None:
        if (film := self.running.pop(server, None)) is not None:
            film.shutdown()
            film.server_close()

    def versions(self) -> dict[str, str]:
        return {server: film.version for server, film in self.running.items()}

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
            for server in SERVERS:
                self.stop(server)


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
