"""Compare the processor time of requests over HTTP with that of another checkout, in one run.

    python -m bench.serve.against FOLDER [--rounds 30] [--json FILE]

Starts a service of each checkout on the same database, and one of constant bytes under the same server, and
sends bursts of the same bytes to all in turn, over one connection each. The figure is the least burst of a
service. FOLDER needs the migrations of this checkout.
"""

import argparse
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson

from app.db import migrations
from app.db.embedded import embedded_postgres
from bench.cost.__main__ import nanoseconds
from bench.figures import ROOT, Figure, write
from bench.serve.page import PAGE, TYPENAME, UNLIMITED
from seeds.bundled import load_bundled

BURST, WARM, START_SECONDS = 100, 60, 900
SERVE = "from app.cli.commands import main; main()"
CONSTANT = """
import uvicorn
BODY = b'{"data":{"__typename":"Query"}}'
HEAD = {"type": "http.response.start", "status": 200,
        "headers": [(b"content-length", b"%d" % len(BODY)), (b"content-type", b"application/json")]}
async def app(scope, receive, send):
    await send(HEAD)
    await send({"type": "http.response.body", "body": BODY})
config = uvicorn.Config(app, port=0, loop="uvloop", access_log=False, lifespan="off", log_level="info")
uvicorn.Server(config).run()
"""


@dataclass(frozen=True, slots=True)
class Service:
    name: str
    pid: int
    connection: socket.socket

    def burst(self, request: bytes, times: int) -> float:
        """The microseconds of the service's threads for one request."""
        before = self.spent()
        for _ in range(times):
            self.ask(request)
        return (self.spent() - before) / 1_000 / times

    def spent(self) -> int:
        return sum(map(nanoseconds, Path(f"/proc/{self.pid}/task").glob("*/schedstat")))

    def ask(self, request: bytes) -> bytes:
        """The body of the answer, which has a Content-Length."""
        self.connection.sendall(request)
        received = b""
        while (head := received.partition(b"\r\n\r\n"))[1] == b"":
            received += self.connection.recv(65_536)
        found = re.search(rb"content-length: (\d+)", head[0])
        assert found is not None, head[0]
        body = head[2]
        while len(body) < int(found[1]):
            body += self.connection.recv(65_536)
        return body


@contextmanager
def served(name: str, program: str, folder: Path, environment: dict[str, str]) -> Iterator[Service]:
    """Run a service of a checkout, with one connection to it."""
    with tempfile.TemporaryDirectory() as data:
        log = Path(data) / "log"
        variables = {
            **os.environ,
            "PYTHONPATH": str(folder),
            "DATA_DIR": data,
            "PORT": "0",
            "COLUMNS": "200",
            **environment,
        }
        arguments = [sys.executable, "-c", program, *(["serve"] if program == SERVE else [])]
        with log.open("wb") as file:
            process = subprocess.Popen(arguments, cwd=folder, env=variables, stdout=file, stderr=file)  # noqa: S603 - ours
        try:
            yield Service(name, process.pid, connected(log, process))
        finally:
            process.terminate()
            process.wait(60)


def connected(log: Path, process: subprocess.Popen[bytes]) -> socket.socket:
    """Raises RuntimeError with the log if the service does not start."""
    deadline = time.monotonic() + START_SECONDS
    while (found := re.search(r"http://[\w.\[\]:]+?:(\d+)", log.read_text())) is None:
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(log.read_text())
        time.sleep(0.1)
    connection = socket.create_connection(("localhost", int(found[1])), timeout=30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def request_of(query: str) -> bytes:
    body = orjson.dumps({"query": query})
    head = (
        "POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Accept: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def measured(services: list[Service], rounds: int) -> dict[str, float]:
    """The least burst, by query and service."""
    least: dict[str, float] = {}
    for query, text in (("typename", TYPENAME), ("page", PAGE)):
        request = request_of(text)
        for service in services:
            for _ in range(WARM):
                service.ask(request)
                time.sleep(0.01)  # for the compiler
        for _ in range(rounds):
            for service in services:
                spent, key = service.burst(request, BURST), f"{query} {service.name}"
                least[key] = min(spent, least.get(key, spent))
    return least


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, help="the other checkout")
    parser.add_argument("--rounds", type=int, default=30, help="bursts of each kind")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    with ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory())
        url = stack.enter_context(embedded_postgres(Path(name)))
        migrations.upgrade(url)
        load_bundled(url)
        limits = {name.upper(): str(value) for name, value in UNLIMITED.items()}
        environment = {"DATABASE_URL": url, "PRODUCTION": "true", "SECRET_KEY": "s" * 40, **limits}
        services = [
            stack.enter_context(served(name, program, folder, environment))
            for name, program, folder in (
                ("other", SERVE, options.folder.resolve()),
                ("this", SERVE, ROOT),
                ("constant bytes", CONSTANT, ROOT),
            )
        ]
        least = measured(services, options.rounds)
    figures = [Figure(key, spent, "us") for key, spent in least.items()]
    for query in ("typename", "page"):
        ratio = least[f"{query} other"] / least[f"{query} this"]
        figures.append(Figure(f"{query} is cheaper than in the other checkout", ratio, "times"))
    for figure in figures:
        print(f"{figure.key}: {figure.value:.2f} {figure.unit}")  # noqa: T201 - it is a command
    if options.json:
        write(options.json, "the bundled catalog", figures)


if __name__ == "__main__":
    main()
