"""The messages that reads send to Postgres, as libpq traces them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from psycopg.pq import Trace

from app.db.engine import Sessions

# A line: the direction, the length, and the name of the message; the first field without a time.
SENT = re.compile(r"^F\t\d+\t(\w+)", re.MULTILINE)


@contextmanager
def traced(sessions: Sessions, folder: Path) -> Iterator[list[str]]:
    """The names of the messages that the next read sends, after the block."""
    sent: list[str] = []
    connection = sessions.pool.idle[-1]  # which the next read takes
    with (folder / "trace").open("w+") as file:
        connection.pgconn.trace(file.fileno())
        connection.pgconn.set_trace_flags(Trace.SUPPRESS_TIMESTAMPS)
        try:
            yield sent
        finally:
            connection.pgconn.untrace()
        sent += SENT.findall((folder / "trace").read_text())
