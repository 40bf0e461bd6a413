"""Connections: the arguments of a page, its edges and its page information."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from inspect import get_annotations
from typing import Annotated, Any, Generic, TypeVar, get_args, get_origin

import strawberry
from strawberry import relay

from schema.core.constraints import CURSOR
from schema.core.cursors import Cursors, invalid_cursor
from schema.core.errors import BadArgument
from schema.core.global_ids import MAX_ID

MAX_PAGE = 100
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
Key = TypeVar("Key")
Node = TypeVar("Node")
AnyEdge = TypeVar("AnyEdge")
Row = TypeVar("Row")
Page = TypeVar("Page")


First = Annotated[int, strawberry.argument(description="The number of items, 1 to 100.")]
FirstOrNone = Annotated[int | None, strawberry.argument(description="The number of items, 1 to 100.")]
After = Annotated[
    str | None,
    strawberry.argument(description="The cursor of the item before the page.", directives=[CURSOR]),
]
Last = Annotated[int | None, strawberry.argument(description="The number of items from the end, 1 to 100.")]
Before = Annotated[
    str | None, strawberry.argument(description="The cursor of the item after the page.", directives=[CURSOR])
]


@dataclass(frozen=True, slots=True)
class Window:
    """`count` rows after (or, `backward`, before) the row with the sort key `key`; None for the end."""

    cursors: Cursors
    count: int
    key: tuple[Any, ...] | None
    backward: bool = False

    def invalid_cursor(self, wanted: str = "this field") -> BadArgument:
        return invalid_cursor("before" if self.backward else "after", wanted)


def window(
    cursors: Cursors, first: int | None, after: str | None, last: int | None = None, before: str | None = None
) -> Window:
    """Check the arguments of a connection.

    Raises BadArgument unless one of `first` and `last` is given, within 1..100 and with its own cursor.
    """
    if first is not None:
        if last is not None:
            raise BadArgument("last", "cannot be given with `first`.")
        if before is not None:
            raise BadArgument("before", "goes with `last`, not with `first`.")
        return Window(cursors, page_size("first", first), (after and cursors.decode(after)) or None)
    if last is None:
        raise BadArgument("first", "must be given, or `last`.")
    if after is not None:
        raise BadArgument("after", "goes with `first`, not with `last`.")
    key = (before and cursors.decode(before, "before")) or None
    return Window(cursors, page_size("last", last), key, backward=True)


def page_size(argument: str, size: int) -> int:
    if not 1 <= size <= MAX_PAGE:
        raise BadArgument(argument, f"must be from 1 to {MAX_PAGE}, not {size}.")
    return size


@strawberry.type(description="An item of a page, with its cursor.")
class Edge(Generic[Node]):
    cursor: str = strawberry.field(
        description="Pass as `after` to fetch the items after this one; as `before`, those before it."
    )
    node: Node = strawberry.field(description="The item.")


@strawberry.type(description="A page of a list.")
class Connection(Generic[AnyEdge]):
    """A subclass also has the field `nodes`, a list of the type that its edges have."""

    edges: list[AnyEdge] = strawberry.field(description="The items, in the order of the list.")
    page_info: relay.PageInfo = strawberry.field(
        description="The page's cursors, and whether more pages exist."
    )

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        node: Any = node_type(argument_of(cls, Connection))
        if not isinstance(node, TypeVar):
            cls.__annotations__ = {**get_annotations(cls), "nodes": list[node]}
            cls.nodes = strawberry.field(
                default_factory=list, description="The items without cursors, in the order of the list."
            )

    def __post_init__(self) -> None:
        self.nodes = [edge.node for edge in self.edges]  # type: ignore[attr-defined]


def argument_of(kind: type, generic: type) -> Any:
    """The argument with which a class is derived from a generic class; Any if it is not."""
    bases = getattr(kind, "__orig_bases__", ())
    return next((get_args(base)[0] for base in bases if get_origin(base) is generic), Any)


def node_type(edge: Any) -> Any:
    """The type of the node of an edge."""
    return get_args(edge)[0] if get_origin(edge) is Edge else argument_of(edge, Edge)


def page_info(edges: Sequence[Edge[Any]], *, has_previous: bool, has_next: bool) -> relay.PageInfo:
    return relay.PageInfo(
        has_previous_page=has_previous,
        has_next_page=has_next,
        start_cursor=edges[0].cursor if edges else None,
        end_cursor=edges[-1].cursor if edges else None,
    )


def info_of(asked: Window, edges: Sequence[Edge[Any]], *, more: bool) -> relay.PageInfo:
    """The page information of a window. `more`: whether rows follow in its direction."""
    continued = asked.key is not None
    previous, following = (more, continued) if asked.backward else (continued, more)
    return page_info(edges, has_previous=previous, has_next=following)


def page_of(
    connection: Callable[..., Page], asked: Window, found: Sequence[Row], edge: Callable[[Row], Edge[Any]]
) -> Page:
    """Make the page of a window from its rows, in the order of the list.

    `found`: the rows in the direction of the window, and one beyond the page if there are more of them.
    """
    edges = [edge(row) for row in (found[-asked.count :] if asked.backward else found[: asked.count])]
    return connection(edges=edges, page_info=info_of(asked, edges, more=len(found) > asked.count))


def moment(time: datetime) -> int:
    """A time as an integer for a cursor, with the precision of Postgres."""
    return (time - EPOCH) // MICROSECOND


def of_moment(microseconds: int) -> datetime:
    """Raises OverflowError for a time beyond the calendar."""
    return EPOCH + microseconds * MICROSECOND


def place_of(asked: Window, read: Callable[[Any], Key]) -> tuple[datetime, Key] | None:
    """Decode the key of a list that is ordered by time, then by the value that `read` decodes.

    `read` raises ValueError. Raises BadArgument for the cursor of another list.
    """
    match asked.key:
        case None:
            return None
        case (int(microseconds), last):
            with suppress(ValueError, OverflowError):
                return of_moment(microseconds), read(last)
    raise asked.invalid_cursor()


def id_of(asked: Window) -> int | None:
    """Decode the key of a list that is ordered by id. Raises BadArgument for the cursor of another list."""
    match asked.key:
        case None:
            return None
        case (key,):
            with suppress(ValueError):
                return row_id(key)
    raise asked.invalid_cursor()


def row_id(key: object) -> int:
    """Raises ValueError for a value that is not a row id."""
    if isinstance(key, int) and 0 <= key <= MAX_ID:
        return key
    raise ValueError(key)
