"""Transactions of a request that end with it: committed before it ends, or rolled back."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

Result = TypeVar("Result")


class RequestEnded(Exception):
    """The request ended, by its time limit or by its client, before the transaction was complete."""


@dataclass(slots=True)
class Request:
    """The request that a transaction belongs to."""

    ended: bool = False

    def check(self) -> None:
        """Call it before a commit. Raises RequestEnded, so that the transaction is rolled back."""
        if self.ended:
            raise RequestEnded


async def unless_ended(work: Callable[[Request], Awaitable[Result]]) -> Result:
    """Run `work` to its end, also if this is cancelled meanwhile.

    If it succeeds nevertheless, its result is returned, so that the answer is that of what was stored.
    Otherwise the cancellation goes on, and nothing was stored.
    """
    request = Request()
    working = asyncio.ensure_future(work(request))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        request.ended = True
        await asyncio.wait({working})  # a thread cannot be stopped, and the next batch must wait for it
        if working.cancelled() or working.exception() is not None:
            raise
        return working.result()
