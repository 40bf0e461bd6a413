"""The training job queue: enqueue, claim with a heartbeat, report progress, finish.

A job belongs to the process that holds its claim and renews its heartbeat. When the heartbeat is stale, any
process can claim the job again. The former owner can no longer write to the job or publish a model, because
the job is finished in the transaction that publishes the model.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
from sqlalchemy import ColumnElement, func, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError

from app.db.engine import Sessions
from app.db.training_tables import TrainingJob

MAX_TRIES = 3  # attempts at a job whose process dies each time, for example for lack of memory
WAITING = "waiting"
ENDED = ("SUCCEEDED", "FAILED")
STATUSES = ("QUEUED", "RUNNING", *ENDED)

OWNED = "id = %(job_id)s AND claim = %(claim)s AND status = 'RUNNING'"
FINISH = f"""
UPDATE training_jobs SET status = 'SUCCEEDED', stage = 'done', fraction = 1, finished_at = now(), message = (
        SELECT training -> 'gate' ->> 'reason' FROM model_versions
        WHERE version = %(version)s AND NOT (training -> 'gate' ->> 'passed')::boolean),
    model_version = %(version)s WHERE {OWNED}
"""  # noqa: S608 - only constants


# Training begins when its job is requested or, by the command, when it reads the ratings.
DUE = text(
    """
    WITH last AS (
        SELECT greatest(
            (SELECT max(requested_at) FROM training_jobs), (SELECT max(trained_at) FROM model_versions)
        ) AS at
    )
    SELECT (:seconds > 0 AND at < now() - make_interval(secs => :seconds)) OR (:ratings > 0 AND :ratings = (
        SELECT count(*) FROM (SELECT FROM ratings WHERE rated_at > at LIMIT :ratings) AS newer))
    FROM last WHERE NOT EXISTS (SELECT FROM training_jobs WHERE status IN ('QUEUED', 'RUNNING'))
    """
)


class ClaimLost(Exception):
    """Another process has claimed the job."""


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
    """Ownership of a running job. `tries` counts this attempt."""

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
    """Enqueue a job. If one is queued already, return that one: it will read the same ratings."""
    insert = upsert(TrainingJob).values(requested_by=requested_by)
    statement = insert.on_conflict_do_update(
        index_elements=[TrainingJob.status],
        index_where=text("status IN ('QUEUED', 'RUNNING')"),
        set_={"status": insert.excluded.status},
    )
    async with sessions.begin() as session:
        return Job(*(await session.execute(statement.returning(*JOB))).one())


async def request_due(sessions: Sessions, hours: float, new_ratings: int) -> Job | None:
    """Enqueue a job if one is due: so many hours, or ratings, after the last training began; 0 is never.

    None if none is due, or one is queued or running. Without any training none is due.
    """
    async with sessions() as session:
        due = await session.scalar(DUE, {"seconds": 3600 * hours, "ratings": new_ratings})
    return await request(sessions, None) if due else None


async def by_id(sessions: Sessions, ids: Collection[int]) -> dict[int, Job]:
    async with sessions() as session:
        rows = await session.execute(select(*JOB).where(TrainingJob.id.in_(ids)))
        return {row.id: Job(*row) for row in rows}


async def job(sessions: Sessions, job_id: int) -> Job | None:
    return (await by_id(sessions, [job_id])).get(job_id)


async def count_by_status(sessions: Sessions) -> dict[str, int]:
    """The number of jobs of each status."""
    counts = dict.fromkeys(STATUSES, 0)
    async with sessions() as session:
        rows = await session.execute(
            select(TrainingJob.status, func.count().label("jobs")).group_by(TrainingJob.status)
        )
        return counts | {row.status: row.jobs for row in rows}


# A text, since every process sends it each few moments: to build the statement takes longer than to run it.
CLAIM = text(
    """
    UPDATE training_jobs SET status = 'RUNNING', stage = 'starting', fraction = 0, message = NULL,
        claim = :token, heartbeat_at = now(), started_at = coalesce(started_at, now()), tries = tries + 1
    WHERE id = (
        SELECT id FROM training_jobs
        WHERE status = 'RUNNING' AND (heartbeat_at > now() - CAST(:stale AS interval)) IS NOT TRUE
            OR status = 'QUEUED' AND NOT EXISTS (SELECT FROM training_jobs WHERE status = 'RUNNING')
        LIMIT 1 FOR UPDATE SKIP LOCKED
    )
    RETURNING id, tries
    """
)


async def claim(sessions: Sessions, stale_seconds: float) -> Claim | None:
    """Claim a job: a running one with a stale heartbeat, or the queued one if none is running.

    None if there is no such job.
    """
    token = uuid4()
    try:
        async with sessions.begin() as session:
            parameters = {"token": token, "stale": timedelta(seconds=stale_seconds)}
            row = (await session.execute(CLAIM, parameters)).one_or_none()
    except IntegrityError:  # another process claimed it first
        return None
    return None if row is None else Claim(row.id, token, row.tries)


async def report(sessions: Sessions, claim: Claim, stage: str, fraction: float) -> bool:
    """Renew the heartbeat and write the progress; False once the job is finished. Raises ClaimLost."""
    progress = {"stage": stage, "fraction": min(max(fraction, 0.0), 1.0)}
    if await _written(sessions, claim, heartbeat_at=func.now(), **progress):
        return True
    owned = select(TrainingJob.id).where(*_of(claim))
    async with sessions() as session:
        if await session.scalar(owned) is None:
            raise ClaimLost(f"Another process has claimed training job {claim.job_id}.")
    return False


async def give_back(sessions: Sessions, claim: Claim) -> None:
    """Release the claim when this process is stopped: any process can claim the job at once.

    The attempt does not count.
    """
    await _written(sessions, claim, heartbeat_at=None, stage=WAITING, fraction=0, tries=TrainingJob.tries - 1)


async def give_up(sessions: Sessions, claim: Claim, reason: str, *, permanent: bool) -> None:
    """Mark the job failed if the failure is permanent or its attempts are used up; otherwise requeue it."""
    if permanent or claim.tries >= MAX_TRIES:
        await _written(
            sessions, claim, status="FAILED", stage="failed", message=reason, finished_at=func.now()
        )
    else:
        await _written(sessions, claim, heartbeat_at=None, stage=WAITING, fraction=0, message=reason)


def finish(connection: psycopg.Connection, job_id: int, claim: str, version: str) -> None:
    """Finish the job in the transaction that publishes the model. Raises ClaimLost."""
    found = connection.execute(FINISH, {"job_id": job_id, "claim": claim, "version": version})
    if not found.rowcount:
        raise ClaimLost(f"Another process has claimed training job {job_id}.")


def _of(claim: Claim) -> tuple[ColumnElement[bool], ...]:
    return TrainingJob.id == claim.job_id, TrainingJob.claim == claim.claim


async def _written(sessions: Sessions, claim: Claim, **values: object) -> bool:
    """Write to a running job; False if the claim is lost or the job is finished."""
    statement = update(TrainingJob).where(*_of(claim), TrainingJob.status == "RUNNING").values(**values)
    async with sessions.begin() as session:
        return await session.scalar(statement.returning(TrainingJob.id)) is not None
