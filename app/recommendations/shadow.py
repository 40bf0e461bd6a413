"""Shadow mode: make live lists with a candidate too, without serving them, and compare.

A request only appends what its list is made from to a queue in memory. A background task of the process makes
the list again in a thread, with the active model and with the candidate. It rests REST times as long as it
takes, so that it uses at most a fifth of a core. The queue is bounded: lists that find it full are counted as
dropped.
"""

import asyncio
import logging
import time
from collections import deque
from dataclasses import dataclass, field, replace

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from app.db.engine import Sessions
from app.recommendations.history import UserHistory
from app.recommendations.recommend import Wish, recommend
from app.serving.live import Live
from app.serving.model import Model
from app.serving.snapshot import Snapshot
from app.telemetry import metrics
from app.training import shadow_runs
from app.training.shadow_runs import Counts

MAX_QUEUED = 50  # lists
FIRST = 10  # places of a list that are compared
REST = 4  # times the duration of a comparison, before the next one
STEP_SECONDS = 2.0  # between two readings of the database
LOG_SECONDS = 60.0  # between two messages of a failure

log = logging.getLogger("marquee.shadow")


@dataclass(frozen=True, slots=True)
class LiveList:
    """The inputs of a served list."""

    user: UserHistory
    wish: Wish
    signed_in: bool


@dataclass(frozen=True, slots=True)
class Compared:
    """The share of the active model's first places that the candidate has too, and the seconds of both."""

    agreement: float
    active_seconds: float
    candidate_seconds: float


@dataclass(slots=True)
class Shadow:
    """The queue of a process, and what it compared since the last step. `run`: the id and version."""

    run: tuple[int, str] | None = None
    queue: deque[LiveList] = field(default_factory=deque)
    counts: Counts = field(default_factory=Counts)
    added: asyncio.Event = field(default_factory=asyncio.Event)
    log_at: float = 0.0

    def add(self, live: LiveList) -> None:
        """Queue a list, if a model runs in shadow mode; count it as dropped if the queue is full."""
        if self.run is None:
            return
        if len(self.queue) >= MAX_QUEUED:
            self.counts.dropped += 1
            metrics.shadow_lists.labels("dropped").inc()
            return
        self.queue.append(live)
        self.added.set()

    async def follow(self, sessions: Sessions, live: Live) -> None:
        """Keep in step with the database and compare, forever."""
        comparing = asyncio.create_task(self._compare(live))
        try:
            while True:
                try:
                    await self.step(sessions, live)
                except (SQLAlchemyError, psycopg.Error, OSError) as error:
                    self._warn(f"the counts of the shadow mode are not stored yet: {error}")
                await asyncio.sleep(STEP_SECONDS)
        finally:
            comparing.cancel()
            await asyncio.gather(comparing, return_exceptions=True)

    async def step(self, sessions: Sessions, live: Live) -> None:
        """Store the counts, and read which model runs."""
        counts, self.counts = self.counts, Counts()
        try:
            if self.run is not None and counts.anything:
                await shadow_runs.add(sessions, self.run[0], counts)
        except BaseException:
            self.counts = _sum(counts, self.counts)
            raise
        run = await shadow_runs.running(sessions)
        if run != self.run:
            self.queue.clear()
            self.run, self.counts = run, Counts()
            live.shadow = None if run is None else run[1]

    async def _compare(self, live: Live) -> None:
        while True:
            await self.added.wait()
            self.added.clear()
            while self.queue:
                began = time.monotonic()
                await self.compare_next(live)
                await asyncio.sleep(REST * (time.monotonic() - began))

    async def compare_next(self, live: Live) -> None:
        """Compare the oldest list of the queue, unless this process does not have the candidate yet."""
        listed = self.queue.popleft()
        active = live.served.model
        candidate = None if self.run is None else live.served.of_version(self.run[1])
        if active is None or candidate is None or active.version == candidate.version:
            return
        try:
            found = await asyncio.to_thread(compared, live.served.snapshot, active, candidate, listed)
        except Exception as error:  # noqa: BLE001 - a candidate may fail in any way, and lists go on
            self.counts.failed += 1
            metrics.shadow_lists.labels("failed").inc()
            self._warn(f"{candidate.version} cannot make a list: {error!r}")
            return
        self.counts = _sum(
            self.counts, Counts(1, 0, 0, found.agreement, found.active_seconds, found.candidate_seconds)
        )
        metrics.shadow_lists.labels("compared").inc()
        metrics.shadow_agreement.observe(found.agreement)
        metrics.shadow_time.labels("active").observe(found.active_seconds)
        metrics.shadow_time.labels("candidate").observe(found.candidate_seconds)

    def _warn(self, message: str) -> None:
        if time.monotonic() >= self.log_at:
            self.log_at = time.monotonic() + LOG_SECONDS
            log.warning("%s", message)


def compared(snapshot: Snapshot, active: Model, candidate: Model, listed: LiveList) -> Compared:
    """Make the list with both models, which are aligned with the snapshot."""
    wish = replace(listed.wish, exploration=0.0)
    movies, seconds = [], []
    for model in (active, candidate):
        began = time.perf_counter()
        picks = recommend(snapshot, model, listed.user, wish, signed_in=listed.signed_in, first=FIRST)
        seconds.append(time.perf_counter() - began)
        movies.append({pick.movie_id for pick in picks.picks})
    ours, theirs = movies
    longest = max(len(ours), len(theirs))
    return Compared(len(ours & theirs) / longest if longest else 1.0, seconds[0], seconds[1])


def _sum(first: Counts, second: Counts) -> Counts:
    return Counts(*(getattr(first, name) + getattr(second, name) for name in shadow_runs.COUNTED))
