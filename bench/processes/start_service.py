"""Start a temporary service for a benchmark, as `make run` does."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.figures import ROOT

START_SECONDS = 900  # a first start trains a model, which takes minutes on a busy machine
PROGRAM = [sys.executable, "-c", "from app.cli.commands import main; main()"]


@dataclass(frozen=True, slots=True)
class Service:
    """A running service. `environment` makes other commands use the same data."""

    url: str
    pid: int
    environment: dict[str, str]

    @property
    def postmaster(self) -> int:
        """The process id of its Postgres."""
        found = Path(self.environment["DATA_DIR"]).rglob("postmaster.pid")
        return int(next(found).read_text().partition("\n")[0])


@contextmanager
def service(**settings: str) -> Iterator[str]:
    """The address of a service that `started` runs."""
    with started(**settings) as found:
        yield found.url


@contextmanager
def started(**settings: str) -> Iterator[Service]:
    """Run a service with the bundled catalog and a trained model; its data is removed at the end."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {
            **os.environ,
            "DATA_DIR": str(folder / "data"),
            "PORT": "0",
            "COLUMNS": "200",
            **settings,
        }
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - our own command
                [*PROGRAM, "serve", "--prepare"], cwd=ROOT, env=environment, stdout=log, stderr=log
            )
        try:
            yield Service(address_in(folder / "log", process), process.pid, environment)
        finally:
            process.terminate()
            process.wait(60)


def address_in(log: Path, process: subprocess.Popen[bytes]) -> str:
    """Wait for the address in the log. Raises RuntimeError with the log if the service does not start."""
    deadline = time.monotonic() + START_SECONDS
    while (found := re.search(r"(http://\S+)/graphql", log.read_text())) is None:
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(log.read_text())
        time.sleep(0.1)
    return found[1]
