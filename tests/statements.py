"""The SQL statements that a test's database receives."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from app.db.engine import Sessions


def noted_statements(sessions: Sessions) -> list[str]:
    """A list to which each statement is added from now on, of sessions and of reads."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    @contextmanager
    def note_read(_connection: Any, statement: str) -> Iterator[None]:
        sent.append(statement)
        yield

    event.listen(sessions.kw["bind"].sync_engine, "before_cursor_execute", note)
    sessions.pool.observers.append(note_read)
    return sent
