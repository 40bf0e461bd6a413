"""The training worker of a service: runs queued jobs, each in a subprocess at low priority."""

import asyncio
import json
import logging
import sys
import time
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from app.db.engine import Sessions
from app.db.outages import FaultLog
from app.settings import Settings
from app.training import jobs
from app.training.__main__ import REFUSED
from app.training.jobs import MAX_TRIES, Claim, ClaimLost

PROGRESS_SECONDS = 0.25  # minimum interval between two writes of progress
DUE_SECONDS = 30.0  # between two looks at whether a training is due
HEARTBEATS = 5  # in the time after which a job counts as stale

log = logging.getLogger("marquee.training")


@dataclass(slots=True)
class Progress:
    """The last message of the subprocess. `changed` is set by each new one."""

    changed: asyncio.Event
    stage: str = "starting"
    fraction: float = 0.0
    refused: str | None = None


async def follow(sessions: Sessions, settings: Settings, database_url: str) -> None:
    """Run jobs one after another, forever. An outage of the database only delays them."""
    asked_at = -DUE_SECONDS
    faults = FaultLog(log, "the training worker cannot look for jobs or run one")
    while True:
        try:
            if (settings.training_hours or settings.training_new_ratings) and (
                time.monotonic() >= asked_at + DUE_SECONDS
            ):
                asked_at = time.monotonic()
                await jobs.request_due(sessions, settings.training_hours, settings.training_new_ratings)
            claim = await jobs.claim(sessions, settings.training_stale_seconds)
            if claim is not None:
                await run(claim, sessions, settings, database_url)
        except ClaimLost as lost:
            log.warning("%s", lost)
        except Exception as error:  # noqa: BLE001 - a fault of one job does not end the next ones
            faults.note(error)
        else:
            faults.end()
        await asyncio.sleep(settings.poll_seconds)


async def run(claim: Claim, sessions: Sessions, settings: Settings, database_url: str) -> None:
    """Run one job to its end. Raises ClaimLost."""
    if claim.tries > MAX_TRIES:
        reason = f"The training service crashed {MAX_TRIES} times."
        await jobs.give_up(sessions, claim, reason, permanent=True)
        return
    try:
        await attempt(claim, sessions, settings, database_url)
    except ClaimLost:
        raise
    except Exception:
        # At once, and not only when the claim is stale; without the database only then.
        with suppress(SQLAlchemyError):
            await jobs.give_up(sessions, claim, "The service could not follow the training.", permanent=False)
        raise


async def attempt(claim: Claim, sessions: Sessions, settings: Settings, database_url: str) -> None:
    """Train in a subprocess, and report its progress. Raises ClaimLost."""
    log.info("training job %d begins", claim.job_id)
    process = await started(claim, settings, database_url)
    progress = Progress(asyncio.Event())
    listening = asyncio.create_task(listen(process, progress))
    reporting = asyncio.create_task(report(claim, sessions, progress, settings.training_stale_seconds))
    try:
        done, _ = await asyncio.wait((listening, reporting), return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        status = await process.wait()
    except asyncio.CancelledError:
        await stop(process)
        # A failure here must not replace the cancellation. Another process will claim the stale job.
        with suppress(SQLAlchemyError):
            await jobs.give_back(sessions, claim)
        raise
    finally:
        await stop(process)
        for task in (listening, reporting):
            task.cancel()
        await asyncio.wait((listening, reporting))
    await conclude(claim, sessions, status, progress)


async def started(claim: Claim, settings: Settings, database_url: str) -> Process:
    """Start the subprocess and send it its arguments."""
    order = {
        "database_url": database_url,
        "models": str(settings.models),
        "kept_models": settings.kept_models,
        "kind": settings.training_model,
        "gate": settings.training_gate,
        "settings": settings.training_settings and str(settings.training_settings),
        "sentences": settings.sentence_model and str(settings.sentence_model),
        "attributes": settings.content_attributes,
        "log_level": settings.log_level,
        "log_format": settings.log_format,
        "mlflow": settings.mlflow_tracking_uri,
        "job_id": claim.job_id,
        "claim": str(claim.claim),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "app.training"),
        cwd=Path(__file__).parents[2],  # it must import this `app`
        stdin=PIPE,
        stdout=PIPE,
        start_new_session=True,  # Ctrl-C must not reach it
    )
    assert process.stdin is not None
    # The database URL may hold a password, which must not be visible in arguments or the environment.
    process.stdin.write(json.dumps(order).encode() + b"\n")
    return process


async def conclude(claim: Claim, sessions: Sessions, status: int, progress: Progress) -> None:
    """Log the end of the subprocess; mark the job failed or requeue it unless it succeeded."""
    if status == 0:  # the subprocess has finished the job in the transaction that published the model
        log.info("training job %d succeeded", claim.job_id)
        return
    reason = progress.refused or f"The training process exited with status {status}; see the service's log."
    log.error(
        "training job %d, attempt %d, failed at %s: %s", claim.job_id, claim.tries, progress.stage, reason
    )
    await jobs.give_up(sessions, claim, reason, permanent=status == REFUSED)


async def listen(process: Process, progress: Progress) -> None:
    """Read the messages of the subprocess until it ends."""
    assert process.stdout is not None
    async for line in process.stdout:
        match parsed(line):
            case {"stage": str(stage), "fraction": float(fraction)}:
                progress.stage, progress.fraction = stage, fraction
                progress.changed.set()
            case {"refused": str(refused)}:
                progress.refused = refused


def parsed(line: bytes) -> object:
    """Parse a message; None for output of a library."""
    try:
        return json.loads(line)
    except ValueError:
        return None


async def report(claim: Claim, sessions: Sessions, progress: Progress, stale_seconds: float) -> None:
    """Write progress, at most every PROGRESS_SECONDS, and heartbeats until the job ends.

    Raises ClaimLost.
    """
    running = True
    while running:
        with suppress(TimeoutError):
            await asyncio.wait_for(progress.changed.wait(), stale_seconds / HEARTBEATS)
        progress.changed.clear()
        try:
            running = await jobs.report(sessions, claim, progress.stage, progress.fraction)
        except SQLAlchemyError:
            log.exception("cannot write the progress of training job %d", claim.job_id)
        await asyncio.sleep(min(PROGRESS_SECONDS, stale_seconds / HEARTBEATS))


async def stop(process: Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
