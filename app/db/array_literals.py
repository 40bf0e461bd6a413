"""Arrays of Postgres as text, because the driver converts each element of a list on the event loop."""

from collections.abc import Iterable
from datetime import datetime


def array_literal(values: Iterable[object]) -> str:
    """The text of a one-dimensional array; None becomes NULL, and a time ISO 8601."""
    return "{" + ",".join(map(_element, values)) + "}"


def _element(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, int | float):
        return str(value)
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
