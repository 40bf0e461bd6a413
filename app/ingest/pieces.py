"""Run long computations in a thread, in pieces between which the event loop and other threads run."""

import asyncio
import time
from collections.abc import Generator
from typing import TypeVar
from weakref import WeakKeyDictionary

PIECE_SECONDS = 0.004  # CPU time of the thread, so that a busy event loop does not starve it

Result = TypeVar("Result")
# A computation that yields after each bounded step, and returns its result.
Steps = Generator[None, None, Result]

# An event loop has one piece running at a time: it would wait for the interpreter lock behind every thread
# that computes.
_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


async def in_pieces(steps: Steps[Result]) -> Result:
    """Run a computation in pieces. Cancellation takes effect at the end of the current piece."""
    turn = _turns.setdefault(asyncio.get_running_loop(), asyncio.Lock())
    while True:
        async with turn:
            done = await asyncio.to_thread(_advance, steps)
        if done:
            return done[0]


def at_once(steps: Steps[Result]) -> Result:
    """Run a computation in this thread without interruption."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result


def _advance(steps: Steps[Result]) -> tuple[Result] | None:
    """Run one piece: the result in a tuple, or None if the computation is not finished."""
    end = time.thread_time() + PIECE_SECONDS
    while time.thread_time() < end:
        try:
            next(steps)
        except StopIteration as done:
            return (done.value,)
    return None
