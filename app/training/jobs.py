"""Trainings as rows: asked for, claimed by a process, told of while they run, and finished whoever dies.

A job belongs to whoever holds its claim and shows signs of life. One that shows none for a while is claimed
again by any process; what the former owner still writes goes nowhere, its model included, since the job is
finished in the transaction that publishes the model.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
from sqlalchemy import ColumnElement, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import aliased

from app.db.engine import Sessions
from app.db.training_tables import TrainingJob

MAX_TRIES = 3  # of a job whose process dies each time, as for want of memory
WAITING = "waiting"
ENDED = ("SUCCEEDED", "FAILED")

MINE = "id = %(job_id)s AND claim = %(claim)s AND status = 'RUNNING'"
FINISH = f"""
UPDATE training_jobs SET status = 'SUCCEEDED', stage = 'done', fraction = 1, message = NULL,
    finished_at = now(), model_version = %(version)s WHERE {MINE}
"""  # noqa: S608 - it is made of constants


class ClaimLost(Exception):
    """Another process has taken the job over."""


@dataclass(frozen=True, slots=True)
class Job:
    id: int
    status: str
    stage: str
    fraction: float
    message: str | None
    model_version: str | None


@dataclass(frozen=True, slots=True)
class Claim:
    job_id: int
    claim: UUID
    tries: int


JOB = (
    TrainingJob.id,
    TrainingJob.status,
    TrainingJob.stage,
    TrainingJob.fraction,
    TrainingJob.message,
    TrainingJob.model_version,
)


async def request(sessions: Sessions, requested_by: int | None) -> Job:
    """A new job; the waiting one where there is one, since it will read the same ratings."""
    wanted = upsert(TrainingJob).values(requested_by=requested_by)
    statement = wanted.on_conflict_do_update(
        index_elements=[TrainingJob.status],
        index_where=text("status IN ('QUEUED', 'RUNNING')"),
        set_={"status": wanted.excluded.status},
    )
    async with sessions.begin() as session:
        return Job(*(await session.execute(statement.returning(*JOB))).one())


async def by_id(sessions: Sessions, ids: Collection[int]) -> dict[int, Job]:
    async with sessions() as session:
        rows = await session.execute(select(*JOB).where(TrainingJob.id.in_(ids)))
        return {row.id: Job(*row) for row in rows}


async def job(sessions: Sessions, job_id: int) -> Job | None:
    return (await by_id(sessions, [job_id])).get(job_id)


async def claim(sessions: Sessions, stale_seconds: float) -> Claim | None:
    """A job to run: one left behind, else the one that waits, unless another process runs one."""
    mine = uuid4()
    alive = TrainingJob.heartbeat_at > func.now() - timedelta(seconds=stale_seconds)
    left = (TrainingJob.status == "RUNNING") & alive.is_not(True)
    running = aliased(TrainingJob)
    nothing_runs = ~select(running.id).where(running.status == "RUNNING").exists()
    found = (
        select(TrainingJob.id)
        .where(or_(left, (TrainingJob.status == "QUEUED") & nothing_runs))
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    statement = (
        update(TrainingJob)
        .where(TrainingJob.id == found)
        .values(
            status="RUNNING",
            stage="starting",
            fraction=0,
            message=None,
            claim=mine,
            heartbeat_at=func.now(),
            started_at=func.coalesce(TrainingJob.started_at, func.now()),
            tries=TrainingJob.tries + 1,
        )
        .returning(TrainingJob.id, TrainingJob.tries)
    )
    try:
        async with sessions.begin() as session:
            row = (await session.execute(statement)).one_or_none()
    except IntegrityError:  # another process was a moment before us
        return None
    return None if row is None else Claim(row.id, mine, row.tries)


async def tell(sessions: Sessions, mine: Claim, stage: str, fraction: float) -> bool:
    """A sign of life, and how far the work is; False once the job is finished. Raises ClaimLost."""
    progress = {"stage": stage, "fraction": min(max(fraction, 0.0), 1.0)}
    if await _written(sessions, mine, heartbeat_at=func.now(), **progress):
        return True
    still_mine = select(TrainingJob.id).where(*_of(mine))
    async with sessions() as session:
        if await session.scalar(still_mine) is None:
            raise ClaimLost(f"Another process has taken over training job {mine.job_id}.")
    return False


async def give_back(sessions: Sessions, mine: Claim) -> None:
    """For any process to take at once: this one is told to stop, which is no fault of the job."""
    await _written(sessions, mine, heartbeat_at=None, stage=WAITING, fraction=0, tries=TrainingJob.tries - 1)


async def give_up(sessions: Sessions, mine: Claim, why: str, *, for_good: bool) -> None:
    """It failed `for_good`, or for the last time; else it is tried again by whoever comes first."""
    if for_good or mine.tries >= MAX_TRIES:
        await _written(sessions, mine, status="FAILED", stage="failed", message=why, finished_at=func.now())
    else:
        await _written(sessions, mine, heartbeat_at=None, stage=WAITING, fraction=0, message=why)


def finish(connection: psycopg.Connection, job_id: int, claim: str, version: str) -> None:
    """Part of the transaction that publishes the model. Raises ClaimLost."""
    found = connection.execute(FINISH, {"job_id": job_id, "claim": claim, "version": version})
    if not found.rowcount:
        raise ClaimLost(f"Another process has taken over training job {job_id}.")


def _of(mine: Claim) -> tuple[ColumnElement[bool], ...]:
    return TrainingJob.id == mine.job_id, TrainingJob.claim == mine.claim


async def _written(sessions: Sessions, mine: Claim, **values: object) -> bool:
    """Whether it was ours to write, and still under way."""
    statement = update(TrainingJob).where(*_of(mine), TrainingJob.status == "RUNNING").values(**values)
    async with sessions.begin() as session:
        return await session.scalar(statement.returning(TrainingJob.id)) is not None
