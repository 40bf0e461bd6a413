"""Runs of models in shadow mode, in the database: start, stop, find, count.

In shadow mode each process makes live lists with a candidate too, without serving them: see
`app.recommendations.shadow`. One model at a time.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, insert, select, update

from app.db.engine import Sessions
from app.db.training_tables import ModelVersion, ShadowRun
from app.training.registry import NOT_FOUND, ModelNotFound, ModelUnreadable


class AlreadyActive(Exception):
    """The model is the active one. The message is for the client."""


class NoShadow(Exception):
    """No model runs in shadow mode. The message is for the client."""


@dataclass(slots=True)
class Counts:
    """The comparisons of a process. `agreement` and the seconds are sums over the `lists`.

    `failed`: lists that the candidate could not make. `dropped`: those that were not compared, because the
    queue was full.
    """

    lists: int = 0
    failed: int = 0
    dropped: int = 0
    agreement: float = 0.0
    active_seconds: float = 0.0
    candidate_seconds: float = 0.0

    @property
    def anything(self) -> bool:
        return bool(self.lists or self.failed or self.dropped)


COUNTED = ("lists", "failed", "dropped", "agreement", "active_seconds", "candidate_seconds")


STOP = update(ShadowRun).where(ShadowRun.status == "RUNNING").values(status="STOPPED", stopped_at=func.now())


async def start(sessions: Sessions, version: str) -> None:
    """Run a trained model in shadow mode, in place of another one; nothing changes if it runs already.

    Raises ModelNotFound, ModelUnreadable for one without files, and AlreadyActive.
    """
    if not version.isprintable():  # Postgres accepts neither NUL nor lone surrogates
        raise ModelNotFound(NOT_FOUND)
    async with sessions.begin() as session:
        query = select(ModelVersion.status).where(ModelVersion.version == version).with_for_update()
        status = await session.scalar(query)
        if status is None:
            raise ModelNotFound(NOT_FOUND)
        if status == "REMOVED":
            raise ModelUnreadable("The files of this model have been removed.")
        if status == "ACTIVE":
            raise AlreadyActive("This model makes the lists. Choose another one to compare with it.")
        running = select(ShadowRun.version).where(ShadowRun.status == "RUNNING").with_for_update()
        if await session.scalar(running) == version:
            return
        await session.execute(STOP)
        await session.execute(insert(ShadowRun).values(version=version))


async def stop(sessions: Sessions) -> str:
    """Stop the run, and return the version of its model. Raises NoShadow."""
    async with sessions.begin() as session:
        version: str | None = await session.scalar(STOP.returning(ShadowRun.version))
    if version is None:
        raise NoShadow("No model runs in shadow mode.")
    return version


async def running(sessions: Sessions) -> tuple[int, str] | None:
    """The id of the run and the version of its model."""
    async with sessions() as session:
        query = select(ShadowRun.id, ShadowRun.version).where(ShadowRun.status == "RUNNING")
        row = (await session.execute(query)).one_or_none()
    return None if row is None else (row.id, row.version)


async def add(sessions: Sessions, run_id: int, counts: Counts) -> None:
    """Add the counts of a process to a run, also to one that has stopped meanwhile."""
    added = {name: getattr(ShadowRun, name) + getattr(counts, name) for name in COUNTED}
    async with sessions.begin() as session:
        await session.execute(update(ShadowRun).where(ShadowRun.id == run_id).values(**added))


@dataclass(frozen=True, slots=True)
class Figures:
    """A run as means over its lists, which are None without lists.

    `agreement`: share of the active model's first ten movies that the candidate's list has too.
    """

    status: str
    started_at: datetime
    stopped_at: datetime | None
    lists: int
    failed: int
    dropped: int
    agreement: float | None
    active_milliseconds: float | None
    candidate_milliseconds: float | None


def figures_of(run: ShadowRun) -> Figures:
    sums = (run.agreement, 1000 * run.active_seconds, 1000 * run.candidate_seconds)
    means = [each / run.lists if run.lists else None for each in sums]
    return Figures(run.status, run.started_at, run.stopped_at, run.lists, run.failed, run.dropped, *means)
