"""The first result of a subscription, without a wait."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import Any

from graphql import GraphQLError

from app.db.notifications import Changes, Topic
from schema import schema
from schema.execution.context import Context


class Watched(Changes):
    """Changes that nothing reports. `begun` is set when a subscription waits for one."""

    def __init__(self) -> None:
        super().__init__("postgresql://nowhere")
        self.begun = asyncio.Event()

    @contextmanager
    def watch(self, *names: tuple[Topic, str]) -> Iterator[asyncio.Event]:
        self.begun.set()
        with super().watch(*names) as changed:
            yield changed


async def first_of(document: str, context: Context) -> Any:
    """The first result of a subscription; None as soon as it is accepted and waits for changes."""
    context.changes = changes = Watched()
    events = await schema.subscribe(document, context_value=context)
    if not isinstance(events, AsyncGenerator):
        return events
    first, begun = asyncio.ensure_future(anext(events)), asyncio.ensure_future(changes.begun.wait())
    await asyncio.wait({first, begun}, return_when=asyncio.FIRST_COMPLETED)
    if begun.done():
        first.cancel()
        await asyncio.wait({first})
        return None
    begun.cancel()
    return await first


async def errors_of(document: str, context: Context) -> list[GraphQLError]:
    """The errors of the first result, each at its path, or at the root field for a refused stream."""
    result = await first_of(document, context)
    root = document.split()[2]
    return [error if error.path else located(error, root) for error in (result and result.errors) or []]


def located(error: GraphQLError, root: str) -> GraphQLError:
    assert (error.extensions or {}).get("code") != "BAD_USER_INPUT", error
    return GraphQLError(error.message, path=[root], extensions=error.extensions)
