"""Arrays of Postgres as text, because the driver converts each element of a list on the event loop."""

from collections.abc import Iterable, Sequence
from datetime import datetime


def array_literal(values: Iterable[object]) -> str:
    """The text of a one-dimensional array; None becomes NULL, and a time ISO 8601."""
    return "{" + ",".join(map(_element, values)) + "}"


def text_array_literal(values: Sequence[str]) -> str:
    """The text of an array of texts. Thousands of them without quotes are not looked at one by one."""
    joined = '","'.join(values)
    if not values or "\\" in joined or joined.count('"') > 2 * (len(values) - 1):
        return array_literal(values)
    return f'{{"{joined}"}}'


def _element(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, int | float):
        return str(value)
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
