"""Execute long lists in pieces, with a turn of the event loop between them for other requests."""

import asyncio
from collections.abc import AsyncGenerator, ItemsView, Iterable, ValuesView
from time import perf_counter
from typing import Any

from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

SHORT = 10  # items that are completed in one piece
PIECE_SECONDS = 0.001


class PacedExecution(StrawberryGraphQLCoreExecutionContext):
    def complete_iterable_value(
        self,
        item_type: Any,
        field_details_list: Any,
        info: Any,
        path: Any,
        items: Iterable[Any],
        position_context: Any,
    ) -> Any:
        """Complete a list as graphql-core does, but a long one as an async iterator."""
        paced = (
            isinstance(items, list | ValuesView | ItemsView)  # introspection lists types as a view
            and len(items) > SHORT
            and is_in_loop()
            and self.get_stream_usage(field_details_list, path) is None
        )
        if not paced:
            return super().complete_iterable_value(
                item_type, field_details_list, info, path, items, position_context
            )
        return self.complete_async_iterator_value(
            item_type, field_details_list, info, path, in_pieces(items), position_context
        )


async def in_pieces(items: Iterable[Any]) -> AsyncGenerator[Any]:
    """Yield the items, with a turn of the event loop after each PIECE_SECONDS of work on them."""
    since = perf_counter()
    for item in items:
        if perf_counter() - since > PIECE_SECONDS:
            await asyncio.sleep(0)
            since = perf_counter()
        yield item


def is_long(values: Iterable[Any]) -> bool:
    return isinstance(values, list) and len(values) > SHORT


def is_in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
