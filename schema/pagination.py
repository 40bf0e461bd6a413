"""Pages: how many, from where, and the cursors between them."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Any

import orjson

from schema.errors import CallerError

MAX_PAGE = 100


@dataclass(frozen=True, slots=True)
class Window:
    """`count` rows after (or, `backward`, before) the row with the sort key `key`; None is the end."""

    count: int
    key: tuple[Any, ...] | None
    backward: bool


def window(
    field: str, first: int | None, after: str | None, last: int | None = None, before: str | None = None
) -> Window:
    """The arguments of a connection, checked.

    Raises CallerError unless one of `first` and `last` is given, within 1..100 and with its own cursor.
    """
    if (first is None) == (last is None):
        raise CallerError(f"{field}: give either `first` or `last`.")
    if first is not None:
        if before is not None:
            raise CallerError(f"{field}: `before` goes with `last`, not with `first`.")
        return Window(
            page_size(f"{field}.first", first), (after and decode_cursor(field, after)) or None, False
        )
    if after is not None:
        raise CallerError(f"{field}: `after` goes with `first`, not with `last`.")
    assert last is not None
    return Window(page_size(f"{field}.last", last), (before and decode_cursor(field, before)) or None, True)


def page_size(argument: str, size: int) -> int:
    if not 1 <= size <= MAX_PAGE:
        raise CallerError(f"{argument} must be from 1 to {MAX_PAGE}, not {size}.")
    return size


def encode_cursor(field: str, key: tuple[Any, ...]) -> str:
    return urlsafe_b64encode(orjson.dumps([field, *key])).decode().rstrip("=")


def decode_cursor(field: str, cursor: str) -> tuple[Any, ...]:
    """The sort key in a cursor. Raises CallerError for one that this field did not make."""
    try:
        parts = orjson.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except ValueError:
        parts = None
    if not isinstance(parts, list) or len(parts) < 2 or parts[0] != field:  # noqa: PLR2004 - the field and a key
        raise CallerError(f"{field}: the cursor is not one of this field's.")
    return tuple(parts[1:])
