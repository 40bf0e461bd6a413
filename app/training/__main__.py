"""The training subprocess of a service: `python -m app.training`.

It reads its arguments as one line of JSON from standard input and writes its progress as lines of JSON to
standard output. It exits when standard input is closed, so it never outlives the service.
"""

import json
import logging
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

import psycopg

from app import console

NICENESS = 10  # requests take precedence over training
REFUSED = 3  # exit status of a permanent failure: a retry would fail too


log = logging.getLogger("marquee.training")


def main() -> int:
    """Train and publish a model; return the exit status."""
    order = json.loads(sys.stdin.readline())
    console.start_log(order["log_level"], order["log_format"])
    threading.Thread(target=exit_at_end_of_input, daemon=True).start()
    with suppress(OSError):
        os.nice(NICENESS)
    from app.training import jobs, train  # noqa: PLC0415 - they take seconds to load

    def conclude(connection: psycopg.Connection, version: str) -> None:
        jobs.finish(connection, order["job_id"], order["claim"], version)

    try:
        train.train(
            order["database_url"],
            Path(order["models"]),
            lambda stage, fraction: report(stage=stage, fraction=float(fraction)),
            kept_models=order["kept_models"],
            kind=order["kind"],
            only_if_better=order["gate"],
            settings=order["settings"] and Path(order["settings"]),
            sentences=order["sentences"] and Path(order["sentences"]),
            attributes=order["attributes"],
            mlflow=order["mlflow"],
            conclude=conclude,
        )
    except train.PERMANENT as error:
        report(refused=str(error))
        return REFUSED
    except OSError as error:
        report(refused=f"{error.filename or 'System error'}: {error.strerror or error}")
        return 1
    except Exception:
        log.exception("training job %d failed", order["job_id"])
        return 1
    return 0


def report(**message: str | float) -> None:
    """Write a message for the service."""
    print(json.dumps(message), flush=True)  # noqa: T201 - the service reads it


def exit_at_end_of_input() -> None:
    """Exit the process when the service closes standard input or dies."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
