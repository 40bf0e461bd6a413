"""Pages: how many, from where, and the cursors between them."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import orjson
from strawberry import relay

from schema.errors import CallerError
from schema.node import MAX_ID

MAX_PAGE = 100
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


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


class Edge(Protocol):
    cursor: str


def page_info(asked: Window, edges: Sequence[Edge], *, more: bool) -> relay.PageInfo:
    """`more`: whether rows follow in the direction that was asked for."""
    continued = asked.key is not None
    return relay.PageInfo(
        has_next_page=continued if asked.backward else more,
        has_previous_page=more if asked.backward else continued,
        start_cursor=edges[0].cursor if edges else None,
        end_cursor=edges[-1].cursor if edges else None,
    )


def moment(time: datetime) -> int:
    """A time as it stands in a cursor, to the microsecond that Postgres keeps."""
    return (time - EPOCH) // MICROSECOND


def of_moment(field: str, microseconds: int) -> datetime:
    """Raises CallerError for a time beyond the calendar."""
    try:
        return EPOCH + microseconds * MICROSECOND
    except OverflowError:
        raise CallerError(f"{field}: the cursor is not one of this field's.") from None


def id_before(asked: Window, field: str) -> int | None:
    """The key of a list that is ordered by id alone. Raises CallerError for another list's."""
    match asked.key:
        case None:
            return None
        case (int(id_),) if 0 <= id_ <= MAX_ID:
            return id_
    raise CallerError(f"{field}: the cursor is not one of this field's.")
