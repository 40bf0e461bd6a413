"""Memory of a serving process: give free memory back, and keep collections of garbage short."""

import asyncio
import ctypes
import gc
import time
from collections.abc import Callable

# A request makes tens of thousands of objects. With Python's threshold of 700 most of them reach the oldest
# generation before they are freed, and each of its collections stops the process for tens of milliseconds.
YOUNG_OBJECTS = 4_000
COLLECT_SECONDS = 1.0  # between full collections: each frees what the requests of a moment left
BUSY_SECONDS = 1.0  # longest wait for a moment without requests
MOMENT_SECONDS = 0.05
TRIM_SECONDS = 60.0  # between returns of free memory: 9 MB under load, in 1.3 ms
FEW_OBJECTS = 500  # made since the last collection: too few to collect again
MOST_ARENAS = 2
M_ARENA_MAX = -8  # of malloc.h

_libc = ctypes.CDLL(None)


def limit_arenas() -> None:
    """Let threads share MOST_ARENAS heaps, where the C library is glibc. Call it before threads start.

    By default each thread gets one of eight heaps a processor, and each keeps its own free memory.
    """
    if hasattr(_libc, "mallopt"):
        _libc.mallopt(M_ARENA_MAX, MOST_ARENAS)


def settle() -> None:
    """Call it after a catalog or a model was loaded, which stays.

    Collections do not traverse what is in memory now. What loading needed is given back to the system.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
    trim()


def trim() -> None:
    """Return free memory within the heaps to the system, where the C library is glibc."""
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(0)


async def follow(is_idle: Callable[[], bool]) -> None:
    """Collect all garbage often, if possible while no request waits for it, until cancelled.

    Free memory is returned now and then: arrays of requests leave gaps between objects that stay.
    """
    trimmed_at = time.monotonic()
    while True:
        await asyncio.sleep(COLLECT_SECONDS)
        if time.monotonic() > trimmed_at + TRIM_SECONDS:
            await asyncio.to_thread(trim)
            trimmed_at = time.monotonic()
        young, *older = gc.get_count()
        if young < FEW_OBJECTS and not any(older):
            continue
        latest = time.monotonic() + BUSY_SECONDS
        while not is_idle() and time.monotonic() < latest:  # noqa: ASYNC110 - requests signal nothing
            await asyncio.sleep(MOMENT_SECONDS)
        gc.collect()
