"""Keep the embedded Postgres of a folder running as long as the process that asked for it, however that ends.

A killed process cannot stop its Postgres. Linux tells a child of it, which can: this one.

    python -m bench.processes.keep_postgres FOLDER
"""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from app.db.embedded import EmbeddedPostgresError, embedded_postgres
from bench.figures import ROOT
from bench.processes.die_with_parent import die_with_parent

STOP_SECONDS, POLL_SECONDS = 90, 0.2


@contextmanager
def kept_postgres(folder: Path) -> Iterator[str]:
    """The address of the Postgres of a folder, kept by a child process. Raises EmbeddedPostgresError."""
    with subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "bench.processes.keep_postgres", str(folder)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C goes only to its parent, which then stops it
        preexec_fn=die_with_parent(),  # noqa: PLW1509 - it makes two system calls
    ) as keeper:
        try:
            assert keeper.stdout is not None
            said = keeper.stdout.read() if (first := keeper.stdout.readline()) == "" else first
            if not said.startswith("postgresql://"):
                raise EmbeddedPostgresError(said.strip() + keeper.stdout.read())
            yield said.strip()
        finally:
            keeper.terminate()
            keeper.wait(STOP_SECONDS)


def main(folder: Path) -> None:
    """Print the address of the Postgres, and stop it at a signal.

    A signal during the start takes effect after it, since a Postgres that is half started cannot be stopped.
    """
    stopping = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, stop)
    try:
        with embedded_postgres(folder) as address:
            if not stopping:
                print(address, flush=True)  # noqa: T201
            while not stopping:
                time.sleep(POLL_SECONDS)
    except EmbeddedPostgresError as error:
        print(error, flush=True)  # noqa: T201
        sys.exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
