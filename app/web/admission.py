"""Admission control: limit concurrent operations, queue others, and refuse the rest under overload.

A process that starts every operation it receives answers none in time when it is overloaded. Two well-known
controls work together:

- The number of concurrent operations follows the lag of the event loop, which is how long ready work waits
  for its turn: additive increase, multiplicative decrease.
- Other operations wait in a queue with a controlled delay (CoDel, in the form of "Fail at Scale", ACM Queue
  13(8), 2015). A burst may wait for a while. While the queue does not empty, the wait is short, so that
  admitted operations are answered soon and the others are refused at once.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sized
from dataclasses import dataclass

from app.settings import Settings
from app.telemetry import metrics

MIN_AT_ONCE = 10  # less would leave the database or threads idle
MAX_LAG_SECONDS = 0.05  # longest lasting lag of the event loop
DECREASE, FAST_DECREASE = 0.8, 0.5  # the fast one at five times the maximum lag
WINDOW_SECONDS, PROBE_SECONDS = 0.1, 0.02  # the least lag in a window is the lasting one
BURST_SECONDS = 1.0  # longest wait if the queue was empty within this time
STANDING_SECONDS = 0.1  # longest wait otherwise
MAX_WAITING = 5  # longest queue in a burst, in multiples of MAX_OPERATIONS_AT_ONCE
RETRY_SECONDS = 2


class Overloaded(Exception):
    """The process is overloaded. The refused operation was not started."""

    def __init__(self, setting: str = "") -> None:
        self.setting = setting
        self.wait_seconds = RETRY_SECONDS
        super().__init__(
            f"The service is overloaded and did not start this operation: retry in {RETRY_SECONDS} seconds."
        )


@dataclass(slots=True)
class Turn:
    """The slot of a running operation. `arrived` and `deadline` are times of the event loop's clock."""

    leave: Callable[[], None]
    arrived: float
    deadline: float
    ended: bool = False

    def end(self) -> None:
        if not self.ended:
            self.ended = True
            self.leave()


class Admission:
    """Admission control of one process. `connections` are the open ones."""

    def __init__(self, settings: Settings) -> None:
        self.most_at_once = settings.max_operations_at_once
        self.most_connections = settings.max_connections
        self.execution_seconds = settings.execution_seconds
        self.connections: Sized = ()
        self.at_once = float(self.most_at_once)
        self.running = 0
        self.waiting: deque[asyncio.Future[None]] = deque()
        self.emptied = float("-inf")  # when the queue was last seen empty

    def check(self) -> None:
        """Raise Overloaded if an operation that arrives now would not be admitted.

        Cheap enough to run before any other work for a request.
        """
        if len(self.connections) > self.most_connections:
            raise Overloaded("MAX_CONNECTIONS")
        if self.waiting:
            room = self.at_once if self.standing else MAX_WAITING * self.most_at_once
            if len(self.waiting) >= room:
                raise Overloaded("MAX_OPERATIONS_AT_ONCE")

    @property
    def standing(self) -> bool:
        """Whether the queue has not been empty for a while: more operations arrive than finish."""
        return bool(self.waiting) and self.now - self.emptied > BURST_SECONDS

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def admitted(self) -> Turn:
        """Wait for a turn. Its deadline counts from the call, including the wait. Raises Overloaded."""
        self.check()
        loop = asyncio.get_running_loop()
        arrived = loop.time()
        deadline = arrived + self.execution_seconds
        if not self.waiting:
            self.emptied = arrived
            if self.running < int(self.at_once):
                self.running += 1
                metrics.queue_wait.observe(0)
                return Turn(self.leave, arrived, deadline)
        place: asyncio.Future[None] = loop.create_future()
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
        finally:
            metrics.queue_wait.observe(self.now - arrived)
        return Turn(self.leave, arrived, deadline)

    def forgo(self, place: asyncio.Future[None]) -> None:
        """Leave the queue, or the slot if it was assigned at the same moment."""
        if place in self.waiting:
            self.waiting.remove(place)
        elif place.done() and not place.cancelled():
            self.leave()

    def leave(self) -> None:
        self.running -= 1
        if self.waiting:
            self.admit()

    def admit(self) -> None:
        """Assign free slots to the operations that have waited longest."""
        while self.waiting and self.running < int(self.at_once):
            place = self.waiting.popleft()
            if not place.done():
                place.set_result(None)
                self.running += 1

    async def follow(self) -> None:
        """Measure the lag and adapt to it, until cancelled."""
        while True:
            ends, lag = self.now + WINDOW_SECONDS, float("inf")
            while self.now < ends:  # at least once, even if the lag exceeds the window
                probe = await lag_of_loop()
                metrics.loop_lag.observe(probe)
                lag = min(lag, probe)
            self.adapt(lag)

    def adapt(self, lag_seconds: float) -> None:
        """Adapt the number of concurrent operations to a lasting lag. Few operations never cause it."""
        if lag_seconds > MAX_LAG_SECONDS:
            if self.running > MIN_AT_ONCE:
                factor = DECREASE if lag_seconds < 5 * MAX_LAG_SECONDS else FAST_DECREASE
                self.at_once = max(MIN_AT_ONCE, min(self.at_once, self.running) * factor)
        else:
            self.at_once = min(self.most_at_once, self.at_once + 1)
            self.admit()


async def lag_of_loop() -> float:
    """Measure how late the event loop resumes a task, in seconds."""
    loop = asyncio.get_running_loop()
    due = loop.time() + PROBE_SECONDS
    await asyncio.sleep(PROBE_SECONDS)
    return max(0.0, loop.time() - due)
