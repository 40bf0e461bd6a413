"""The command of `make run`, and a folder that its first start has prepared, made once for a run.

The first start loads the whole bundled catalog and trains on all its members, which costs more processor time
than hundreds of other tests.
"""

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-c", "from app.cli.commands import main; main()", "serve", "--prepare"]
LOG_IN = 'mutation { logIn(input: {username: "demo", password: "marquee-demo"}) { __typename } }'


@dataclass(frozen=True, slots=True)
class FirstStart:
    """What the first start on an empty folder said and did; it ended by SIGTERM."""

    printed: str
    ready: dict[str, Any]
    logged_in: str  # the outcome for the demo account
    served_by: int  # processes of Postgres while it ran
    left: list[int]  # and after it


@contextmanager
def started(data_dir: Path) -> Iterator[tuple[subprocess.Popen[bytes], str, str]]:
    """A service on the embedded database of `data_dir`: its process, address and output."""
    log = data_dir.with_suffix(".log")
    environment = {
        name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "SECRET_KEY")
    }
    environment |= {"DATA_DIR": str(data_dir), "PORT": "0", "COLUMNS": "200"}
    with log.open("wb") as output:
        process = subprocess.Popen(COMMAND, cwd=ROOT, env=environment, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 280
        while (found := re.search(r"(http://\S+)/graphql", log.read_text())) is None:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield process, found[1], log.read_text()
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def postgres_of(data_dir: Path) -> list[int]:
    return [
        process.pid
        for process in psutil.process_iter(["name", "cmdline"])
        if process.info["name"] == "postgres" and str(data_dir) in " ".join(process.info["cmdline"] or ())
    ]


def prepared(run_folder: Path) -> tuple[Path, FirstStart]:
    """The folder, to be copied by `copy_of`. The first worker makes it while the others wait."""
    folder, report = run_folder / "prepared", run_folder / "prepared.json"
    with (run_folder / "prepared.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not report.exists():
            report.write_text(json.dumps(asdict(_first_start(folder))))
    return folder, FirstStart(**json.loads(report.read_text()))


def _first_start(folder: Path) -> FirstStart:
    with started(folder) as (process, url, printed):
        ready = httpx.get(f"{url}/readyz").json()
        answer = httpx.post(f"{url}/graphql", json={"query": LOG_IN}).json()
        served_by = len(postgres_of(folder))
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    logged_in = answer["data"]["logIn"]["__typename"]
    return FirstStart(printed, ready, logged_in, served_by, postgres_of(folder))


def copy_of(prepared: Path, to: Path) -> Path:
    """Copy it, with the owners of its files, since Postgres may run as another account."""
    subprocess.run(["cp", "-a", str(prepared), str(to)], check=True)
    return to
