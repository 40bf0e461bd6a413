"""A service of a bench's own, as `make run` starts it."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.figures import ROOT

START_SECONDS = 300


@contextmanager
def service(**settings: str) -> Iterator[str]:
    """Its address. The bundled catalogue is loaded and a model trained; in the end all of it is removed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {
            **os.environ,
            "DATA_DIR": str(folder / "data"),
            "PORT": "0",
            "COLUMNS": "200",
            **settings,
        }
        program = "from app.cli import main; main()"
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-c", program, "serve", "--prepare"],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=log,
            )
        try:
            yield address_in(folder / "log", process)
        finally:
            process.terminate()
            process.wait(60)


def address_in(log: Path, process: subprocess.Popen[bytes]) -> str:
    """Raises RuntimeError with what the service said where it does not start."""
    deadline = time.monotonic() + START_SECONDS
    while (found := re.search(r"(http://\S+)/graphql", log.read_text())) is None:
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(log.read_text())
        time.sleep(0.1)
    return found[1]
