"""Admission control: how many operations run at once, which wait, and which are refused.

A process that begins everything it is asked for answers nothing in time once more comes than it can do. Two
well-known controls work together:

- The number of operations that run at once follows the lag of the event loop, the time for which work that is
  ready waits for its turn: additive increase, multiplicative decrease.
- Other operations wait in a queue with a controlled delay (CoDel, in the form of "Fail at Scale", ACM Queue
  13(8), 2015). A burst may wait for a while. Where the queue does not empty any more, the wait is short, so
  that those who are answered are answered soon, and the others are refused at once.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sized
from dataclasses import dataclass

from app.settings import Settings

MIN_AT_ONCE = 10  # less would leave the database or threads idle
MAX_LAG_SECONDS = 0.05  # of the event loop, that lasts
DECREASE, FAST_DECREASE = 0.8, 0.5  # the fast one for a lag of five times the limit
WINDOW_SECONDS, PROBE_SECONDS = 0.1, 0.02  # the least lag in a window is the one that lasts
BURST_SECONDS = 1.0  # longest wait when the queue was empty not longer ago than that
STANDING_SECONDS = 0.1  # longest wait when it was not
MAX_WAITING = 5  # times MAX_OPERATIONS_AT_ONCE, of a burst
RETRY_SECONDS = 2


class Overloaded(Exception):
    """More is asked than can be answered in time. What is refused so was not begun."""

    def __init__(self, setting: str = "") -> None:
        self.setting = setting
        self.wait_seconds = RETRY_SECONDS
        super().__init__(
            f"The service is overloaded, and did not begin this: try again in {RETRY_SECONDS} seconds."
        )


@dataclass(slots=True)
class Turn:
    """The place of one operation among those that run. `deadline` is of the event loop's clock."""

    leave: Callable[[], None]
    deadline: float
    ended: bool = False

    def end(self) -> None:
        if not self.ended:
            self.ended = True
            self.leave()


class Admission:
    """Of one process. `connections` are those that are open."""

    def __init__(self, settings: Settings) -> None:
        self.most_at_once = settings.max_operations_at_once
        self.most_connections = settings.max_connections
        self.execution_seconds = settings.execution_seconds
        self.connections: Sized = ()
        self.at_once = float(self.most_at_once)
        self.running = 0
        self.waiting: deque[asyncio.Future[None]] = deque()
        self.emptied = float("-inf")  # when the queue last began to be empty, or was

    def check(self) -> None:
        """Raises Overloaded where an operation that comes now would not be admitted.

        It costs next to nothing, so that it can stand before anything else that is done for a request.
        """
        if len(self.connections) > self.most_connections:
            raise Overloaded("MAX_CONNECTIONS")
        room = self.at_once if self.standing else MAX_WAITING * self.most_at_once
        if len(self.waiting) >= room:
            raise Overloaded("MAX_OPERATIONS_AT_ONCE")

    @property
    def standing(self) -> bool:
        """Whether the queue has not been empty for long: more comes than leaves."""
        return bool(self.waiting) and self.now - self.emptied > BURST_SECONDS

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def admitted(self) -> Turn:
        """A turn, after a wait. Raises Overloaded. Its time runs from now on, with the wait."""
        self.check()
        deadline = self.now + self.execution_seconds
        if not self.waiting:
            self.emptied = self.now
            if self.running < int(self.at_once):
                self.running += 1
                return Turn(self.leave, deadline)
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append(place)
        try:
            async with asyncio.timeout(STANDING_SECONDS if self.standing else BURST_SECONDS):
                await place
        except TimeoutError:
            self.forgo(place)
            raise Overloaded("MAX_OPERATIONS_AT_ONCE") from None
        except asyncio.CancelledError:
            self.forgo(place)
            raise
        return Turn(self.leave, deadline)

    def forgo(self, place: asyncio.Future[None]) -> None:
        """Leave the queue, or the place that was given in the same moment."""
        if place in self.waiting:
            self.waiting.remove(place)
        elif place.done() and not place.cancelled():
            self.leave()

    def leave(self) -> None:
        self.running -= 1
        self.admit()

    def admit(self) -> None:
        """Give the free places to those who wait longest."""
        while self.waiting and self.running < int(self.at_once):
            place = self.waiting.popleft()
            if not place.done():
                place.set_result(None)
                self.running += 1

    async def follow(self) -> None:
        """Adapt for as long as the process serves."""
        while True:
            ends, lag = self.now + WINDOW_SECONDS, float("inf")
            while self.now < ends:  # where the lag is longer than the window, once
                lag = min(lag, await lag_of_loop())
            self.adapt(lag)

    def adapt(self, lag_seconds: float) -> None:
        """To a lag that lasts. Few operations are never the cause of it."""
        if lag_seconds > MAX_LAG_SECONDS:
            if self.running > MIN_AT_ONCE:
                factor = DECREASE if lag_seconds < 5 * MAX_LAG_SECONDS else FAST_DECREASE
                self.at_once = max(MIN_AT_ONCE, min(self.at_once, self.running) * factor)
        else:
            self.at_once = min(self.most_at_once, self.at_once + 1)
            self.admit()


async def lag_of_loop() -> float:
    loop = asyncio.get_running_loop()
    due = loop.time() + PROBE_SECONDS
    await asyncio.sleep(PROBE_SECONDS)
    return max(0.0, loop.time() - due)
