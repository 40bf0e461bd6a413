"""The running experiments that each process keeps in memory, in step with the database."""

import asyncio
import logging
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from app.db.engine import Sessions
from app.db.notifications import Changes, Topic
from app.db.outages import OF_DATABASE, FaultLog
from app.experiments import registry
from app.experiments.assignment import Experiment, ListOwner, Treatment, treatment_of

KEPT = timedelta(days=1)
RETRY_SECONDS = 5.0
REREAD_SECONDS = 60.0  # also without a notification, should one be lost

log = logging.getLogger("marquee.experiments")


@dataclass(slots=True)
class Running:
    """The experiments that are not stopped and not over, by name. Their times are compared at each use.

    `lately`: also those that are over since at most KEPT, for lists that began before. `want` is called with
    the models that arms need, after each reading. `reporting` is held while a report is made, so that a
    process makes one at a time.
    """

    experiments: tuple[Experiment, ...] = ()
    lately: tuple[Experiment, ...] = ()
    want: Callable[[Collection[str]], None] = lambda _: None
    reporting: asyncio.Lock = field(default_factory=asyncio.Lock)

    def treatment(self, subject: ListOwner, now: datetime) -> Treatment | None:
        """The effect of the experiments on a list of the member; None without one."""
        return treatment_of(self.experiments, subject, now) if self.experiments else None

    def treatment_then(self, subject: ListOwner, then: datetime) -> Treatment | None:
        """The effect of the experiments on a list that began at `then`, at most KEPT ago."""
        return treatment_of(self.lately, subject, then)

    @property
    def needs_ratings(self) -> bool:
        """Whether the target of an experiment has a least number of ratings."""
        return any(each.target.min_ratings for each in self.experiments)

    def model_versions(self) -> set[str]:
        """The models that arms need, also of experiments that have not begun."""
        versions = (arm.model_version for each in self.experiments for arm in each.arms)
        return {version for version in versions if version is not None}

    async def read(self, sessions: Sessions) -> None:
        self.lately = await registry.current(sessions, KEPT)
        now = datetime.now(UTC)
        self.experiments = tuple(
            each for each in self.lately if each.stopped_at is None and each.ends_at > now
        )
        self.want(self.model_versions())

    async def follow(self, sessions: Sessions, changes: Changes) -> None:
        """Read again after each change, forever. During a database outage the last ones are used."""
        faults = FaultLog(log, "cannot read the experiments")
        with changes.watch((Topic.EXPERIMENT, "all")) as changed:
            while True:
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), REREAD_SECONDS)
                changed.clear()
                try:
                    await self.read(sessions)
                except OF_DATABASE as error:
                    faults.note(error)
                    changed.set()
                    await asyncio.sleep(RETRY_SECONDS)
                else:
                    faults.end()
