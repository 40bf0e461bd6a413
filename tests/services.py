"""Services of tests: `marquee serve` in processes forked from one that has imported the program.

An import costs seconds of processor time, and a run starts dozens of services. `test_start.py` starts the
command itself.
"""

import multiprocessing
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from unittest.mock import patch
from uuid import uuid4

from passlib.hash import argon2

from app.accounts import passwords

START_SECONDS = 180
STOP_SECONDS = 30
FORKING = multiprocessing.get_context("forkserver")
FORKING.set_forkserver_preload(["app.cli.serve", "tests.services", "tests.preloaded"])

# A service that waits for a whole run looks for changes of the catalog less often: by default this takes 2%
# of a core. An edit is seen at once by the service that makes it.
LONG_LIVED = {"POLL_SECONDS": "2"}

# Tests make members by the hundred, and a real hash takes a core for 40 ms. Set on import, so that it holds
# in the tests and in the services that they fork. `test_passwords.py` and started commands have the real one.
REAL_HASHER = passwords.HASHER
passwords.HASHER = argon2.using(type="ID", memory_cost=64, time_cost=1, parallelism=1)


@dataclass(frozen=True, slots=True)
class Service:
    url: str  # http://127.0.0.1:PORT
    process: ForkServerProcess
    log: Path

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid


StartServer = Callable[..., Service]


@contextmanager
def running(database_url: str, model_dir: Path, run_folder: Path, **settings: str) -> Iterator[Service]:
    """Run a service on a free port; stop it at the end."""
    log = run_folder / f"serve-{uuid4().hex[:8]}.log"
    log.touch()
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "SECRET_KEY": "a secret of the tests, long enough",
        "MODEL_DIR": str(model_dir),
        "PORT": "0",
        "COLUMNS": "200",
        **settings,
    }
    with patch.dict(os.environ, TERM="dumb"):  # no colors in logs
        forkserver.ensure_running()
    process = FORKING.Process(target=serve, args=(environment, log))
    process.start()
    try:
        yield Service(address_in(log, process), process, log)
    finally:
        process.terminate()
        process.join(STOP_SECONDS)
        assert process.exitcode is not None, "the service did not stop"


def serve(environment: dict[str, str], log: Path) -> None:
    """Become `marquee serve` with this environment. Output goes to the log."""
    with log.open("wb") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["marquee", "serve"]

    from app.cli.commands import main  # noqa: PLC0415 - only the service needs it

    main()


def must_not_have_loaded(names: set[str]) -> None:
    """Run in a process forked from the one that has imported the program."""
    assert "app.main" in sys.modules
    assert not names & set(sys.modules), names & set(sys.modules)


def address_in(log: Path, process: ForkServerProcess) -> str:
    """Wait for the address in the log. Raises RuntimeError with the log if the service does not start."""
    deadline = time.monotonic() + START_SECONDS
    while (found := re.search(r"(http://\S+)/graphql", log.read_text())) is None:
        if process.exitcode is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the service did not start:\n{log.read_text()}")
        time.sleep(0.05)
    return found[1]
