"""Trains in the background of a service what was asked for, in a process of its own at low priority."""

import asyncio
import json
import logging
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from app.db.engine import Sessions
from app.settings import Settings
from app.training import jobs
from app.training.__main__ import REFUSED
from app.training.jobs import MAX_TRIES, Claim, ClaimLost

PROGRESS_SECONDS = 0.25  # at least, between two writes of progress
SIGNS_OF_LIFE = 5  # in the time after which a job counts as left behind

log = logging.getLogger("marquee.training")


@dataclass(slots=True)
class Progress:
    """What the process has told last."""

    told: asyncio.Event
    stage: str = "starting"
    fraction: float = 0.0
    refused: str | None = None


async def follow(sessions: Sessions, settings: Settings, database_url: str) -> None:
    """Do one job after another for ever; an outage of the database only delays them."""
    while True:
        try:
            mine = await jobs.claim(sessions, settings.training_stale_seconds)
            if mine is not None:
                await run(mine, sessions, settings, database_url)
        except ClaimLost as lost:
            log.warning("%s", lost)
        except Exception:
            log.exception("the training job could not be looked after")
        await asyncio.sleep(settings.poll_seconds)


async def run(mine: Claim, sessions: Sessions, settings: Settings, database_url: str) -> None:
    """Raises ClaimLost."""
    if mine.tries > MAX_TRIES:
        why = f"The service that trained died {MAX_TRIES} times."
        await jobs.give_up(sessions, mine, why, for_good=True)
        return
    log.info("training job %d begins", mine.job_id)
    process = await started(mine, settings, database_url)
    progress = Progress(asyncio.Event())
    listening = asyncio.create_task(listen(process, progress))
    telling = asyncio.create_task(tell(mine, sessions, progress, settings.training_stale_seconds))
    try:
        done, _ = await asyncio.wait((listening, telling), return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        status = await process.wait()
    except asyncio.CancelledError:
        await stop(process)
        # Its failure must not take the place of the cancellation; another process takes the job over later.
        with suppress(SQLAlchemyError):
            await jobs.give_back(sessions, mine)
        raise
    finally:
        await stop(process)
        for task in (listening, telling):
            task.cancel()
        await asyncio.wait((listening, telling))
    await conclude(mine, sessions, status, progress)


async def started(mine: Claim, settings: Settings, database_url: str) -> Process:
    order = {
        "database_url": database_url,
        "models": str(settings.models),
        "kept_models": settings.kept_models,
        "settings": settings.training_settings and str(settings.training_settings),
        "sentences": settings.sentence_model and str(settings.sentence_model),
        "job_id": mine.job_id,
        "claim": str(mine.claim),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "app.training"),
        cwd=Path(__file__).parents[2],  # so that it is our own `app`
        stdin=PIPE,
        stdout=PIPE,
        start_new_session=True,  # Ctrl-C is for us
    )
    assert process.stdin is not None
    # An address may hold a password: neither arguments nor the environment are for it.
    process.stdin.write(json.dumps(order).encode() + b"\n")
    return process


async def conclude(mine: Claim, sessions: Sessions, status: int, progress: Progress) -> None:
    if status == 0:  # it has finished the job itself, with the publication of the model
        log.info("training job %d has succeeded", mine.job_id)
        return
    why = progress.refused or f"The process ended with status {status}; the log of the service tells more."
    log.error("training job %d, try %d, at %s: %s", mine.job_id, mine.tries, progress.stage, why)
    await jobs.give_up(sessions, mine, why, for_good=status == REFUSED)


async def listen(process: Process, progress: Progress) -> None:
    """Until the process ends."""
    assert process.stdout is not None
    async for line in process.stdout:
        match parsed(line):
            case {"stage": str(stage), "fraction": float(fraction)}:
                progress.stage, progress.fraction = stage, fraction
                progress.told.set()
            case {"refused": str(refused)}:
                progress.refused = refused


def parsed(line: bytes) -> object:
    """None for what a library prints."""
    try:
        return json.loads(line)
    except ValueError:
        return None


async def tell(mine: Claim, sessions: Sessions, progress: Progress, stale_seconds: float) -> None:
    """What is new, a few times a second at most, and signs of life, until the job ends. Raises ClaimLost."""
    under_way = True
    while under_way:
        with suppress(TimeoutError):
            await asyncio.wait_for(progress.told.wait(), stale_seconds / SIGNS_OF_LIFE)
        progress.told.clear()
        try:
            under_way = await jobs.tell(sessions, mine, progress.stage, progress.fraction)
        except SQLAlchemyError:
            log.exception("the progress of training job %d could not be written", mine.job_id)
        await asyncio.sleep(min(PROGRESS_SECONDS, stale_seconds / SIGNS_OF_LIFE))


async def stop(process: Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
