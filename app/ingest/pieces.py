"""Long computations in a thread, in pieces between which the event loop and other threads run."""

import asyncio
import time
from collections.abc import Generator
from typing import TypeVar
from weakref import WeakKeyDictionary

PIECE_SECONDS = 0.004  # of the thread itself, so that a busy event loop does not starve it

Result = TypeVar("Result")
# A computation that yields after each bounded step, and returns its result.
Steps = Generator[None, None, Result]

# Of an event loop, one piece runs at a time: threads that compute take turns at the interpreter lock, and the
# loop would wait for each of them.
_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


async def in_pieces(steps: Steps[Result]) -> Result:
    """Run a computation to its end. One that is cancelled ends with the piece under way."""
    turn = _turns.setdefault(asyncio.get_running_loop(), asyncio.Lock())
    while True:
        async with turn:
            done = await asyncio.to_thread(_advance, steps)
        if done:
            return done[0]


def at_once(steps: Steps[Result]) -> Result:
    """Run a computation to its end in this thread."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result


def _advance(steps: Steps[Result]) -> tuple[Result] | None:
    """The result, or None where the time of a piece is over first."""
    end = time.thread_time() + PIECE_SECONDS
    while time.thread_time() < end:
        try:
            next(steps)
        except StopIteration as done:
            return (done.value,)
    return None
