"""Experiments in the database: start, stop, find."""

import secrets
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.viewer import Role
from app.db import experiment_tables as tables
from app.db.engine import Sessions
from app.db.training_tables import ModelVersion
from app.experiments.assignment import Arm, Design, Experiment, Target, parameters_of
from app.experiments.plans import InvalidExperiment, Plan, validate

MAX_MODELS = 4  # of arms of all experiments: each process has them in memory, see `app.serving.live`
CLOSE = 1e-9  # sums of shares have rounding errors
DAYS = 28  # of an experiment without an end
# At most one experiment starts at a time, since each looks at the others of its layer.
LOCK = text("LOCK TABLE experiments IN SHARE ROW EXCLUSIVE MODE")


class NoRoom(Exception):
    """Other experiments have the members or set the same parameter. The message is for the client."""


class NameTaken(Exception):
    """An experiment has this name already. The message is for the client."""


class NotFound(Exception):
    """No experiment has this name. The message is for the client."""


async def start(sessions: Sessions, plan: Plan, retention_days: int) -> Experiment:
    """Start an experiment, at once or at `starts_at`. `retention_days`: SERVED_LIST_DAYS.

    Raises InvalidExperiment, NameTaken and NoRoom.
    """
    validate(plan)
    if not retention_days:
        raise InvalidExperiment(
            "name", "cannot be measured, since served lists are not recorded. Set SERVED_LIST_DAYS."
        )
    async with sessions.begin() as session:
        await session.execute(LOCK)
        now: datetime = (await session.execute(select(func.now()))).scalar_one()
        starts_at, ends_at = times_of(plan, now, retention_days)
        if await session.scalar(select(tables.Experiment.id).where(tables.Experiment.name == plan.name)):
            raise NameTaken(f"An experiment is named {plan.name} already. Choose another name.")
        await require_models(session, plan.arms)
        others = await _current(session, now)
        require_room_for_models(plan.arms, others)
        id_ = await _insert(session, plan, starts_at, ends_at, room_for(plan, others))
        (started,) = await _read(session, tables.Experiment.id == id_)
    return started


def times_of(plan: Plan, now: datetime, retention_days: int) -> tuple[datetime, datetime]:
    """The start and the end of the experiment. Raises InvalidExperiment."""
    starts_at = plan.starts_at or now
    ends_at = plan.ends_at or starts_at + timedelta(days=min(DAYS, retention_days))
    if starts_at < now - timedelta(minutes=5):
        raise InvalidExperiment("startsAt", "is in the past. Leave it out to start now.")
    if not starts_at < ends_at <= starts_at + timedelta(days=retention_days):
        raise InvalidExperiment(
            "endsAt",
            f"must be after the start, and at most {retention_days} days (SERVED_LIST_DAYS) after it.",
        )
    return starts_at, ends_at


async def _insert(
    session: AsyncSession, plan: Plan, starts_at: datetime, ends_at: datetime, slice_from: float
) -> int:
    """Store the experiment and its arms, and return its id."""
    row = {
        "name": plan.name,
        "salt": secrets.token_hex(16),
        "layer": plan.layer,
        "slice_from": slice_from,
        "slice_to": min(1.0, slice_from + sum(arm.share for arm in plan.arms)),
        "design": plan.design.value,
        "period_hours": plan.period_hours,
        "roles": sorted(role.value for role in plan.target.roles),
        "min_ratings": plan.target.min_ratings,
        "joined_after": plan.target.joined_after,
        "starts_at": starts_at,
        "ends_at": ends_at,
    }
    statement = insert(tables.Experiment).values(row).returning(tables.Experiment.id)
    id_ = (await session.execute(statement)).scalar_one()
    arms = [{"experiment_id": id_, "position": place, **asdict(arm)} for place, arm in enumerate(plan.arms)]
    await session.execute(insert(tables.ExperimentArm), arms)
    return id_


async def require_models(session: AsyncSession, arms: Sequence[Arm]) -> None:
    """Raise InvalidExperiment for an arm whose model is not there or has no files."""
    for place, arm in enumerate(arms):
        if arm.model_version is None:
            continue
        at = f"arms[{place}].modelVersion"
        query = select(ModelVersion.status).where(ModelVersion.version == arm.model_version)
        status = await session.scalar(query)
        if status is None:
            raise InvalidExperiment(at, f"is not the version of a model: {arm.model_version}.")
        if status == "REMOVED":
            raise InvalidExperiment(at, f"has no files any more: {arm.model_version}. Choose another model.")


def require_room_for_models(arms: Sequence[Arm], others: Sequence[Experiment]) -> None:
    """Raise NoRoom for more models than a process serves beside the active one."""
    all_arms = (*arms, *(arm for other in others for arm in other.arms))
    versions = {arm.model_version for arm in all_arms} - {None}
    if len(versions) > MAX_MODELS:
        raise NoRoom(
            f"The arms of all experiments have {len(versions)} models, and a process serves at most "
            f"{MAX_MODELS}. Stop another experiment."
        )


def room_for(plan: Plan, others: Sequence[Experiment]) -> float:
    """Find a place for the experiment's members in its layer: the first gap that is large enough.

    Raises NoRoom if there is none, or if an experiment of another layer sets the same parameter.
    """
    wanted = sum(arm.share for arm in plan.arms)
    sets = parameters_of(plan.arms)
    place = 0.0
    for other in sorted(others, key=lambda other: other.slice_from):
        if other.layer != plan.layer:
            if shared := sorted(sets & other.parameters):
                raise NoRoom(
                    f"{other.name}, of layer {other.layer}, sets {shared[0]} too. Use the layer "
                    f"{other.layer}, or stop {other.name}."
                )
        elif other.slice_from - place >= wanted - CLOSE:
            break
        else:
            place = max(place, other.slice_to)
    if place + wanted > 1 + CLOSE:
        raise NoRoom(
            f"The layer {plan.layer} has {1 - place:.3g} of its members left, and the shares add up to "
            f"{wanted:g}. Lower the shares, or stop another experiment."
        )
    return place


async def stop(sessions: Sessions, name: str, report: dict[str, Any] | None = None) -> Experiment:
    """Stop an experiment, and keep its report. One that is stopped stays as it is. Raises NotFound."""
    async with sessions.begin() as session:
        await session.execute(
            update(tables.Experiment)
            .where(tables.Experiment.name == name, tables.Experiment.stopped_at.is_(None))
            .values(stopped_at=func.now(), report=report)
        )
        found = await _read(session, tables.Experiment.name == name)
    if not found:
        raise NotFound(f"No experiment is named {name}.")
    return found[0]


async def by_name(sessions: Sessions, name: str) -> Experiment | None:
    async with sessions() as session:
        return next(iter(await _read(session, tables.Experiment.name == name)), None)


async def required(sessions: Sessions, name: str) -> Experiment:
    """The experiment of this name. Raises NotFound."""
    found = await by_name(sessions, name)
    if found is None:
        raise NotFound(f"No experiment is named {name}.")
    return found


async def page(sessions: Sessions, count: int, before: int | None = None) -> list[Experiment]:
    """At most `count` experiments, newest first, with ids below `before`."""
    older = () if before is None else (tables.Experiment.id < before,)
    async with sessions() as session:
        return await _read(session, *older, limit=count)


async def current(sessions: Sessions, over: timedelta = timedelta(0)) -> tuple[Experiment, ...]:
    """The experiments that run or are scheduled, by name, and those that were over less than `over` ago."""
    async with sessions() as session:
        now = (await session.execute(select(func.now()))).scalar_one()
        return await _current(session, now - over)


async def _current(session: AsyncSession, now: datetime) -> tuple[Experiment, ...]:
    stopped = tables.Experiment.stopped_at
    found = await _read(session, stopped.is_(None) | (stopped > now), tables.Experiment.ends_at > now)
    return tuple(sorted(found, key=lambda experiment: experiment.name))


async def _read(session: AsyncSession, *conditions: Any, limit: int | None = None) -> list[Experiment]:
    """Experiments that meet all conditions, newest first, in two statements."""
    query = select(tables.Experiment).where(*conditions).order_by(tables.Experiment.id.desc()).limit(limit)
    rows = (await session.scalars(query)).all()
    arms: dict[int, list[Arm]] = {row.id: [] for row in rows}
    of_rows = select(tables.ExperimentArm).where(tables.ExperimentArm.experiment_id.in_(arms))
    for arm in await session.scalars(of_rows.order_by(tables.ExperimentArm.position)):
        arms[arm.experiment_id].append(
            Arm(arm.name, arm.share, arm.model_version, arm.diversity, arm.exploration)
        )
    return [
        Experiment(
            id=row.id,
            name=row.name,
            salt=row.salt,
            arms=tuple(arms[row.id]),
            starts_at=row.starts_at,
            ends_at=row.ends_at,
            layer=row.layer,
            slice_from=row.slice_from,
            slice_to=row.slice_to,
            design=Design(row.design),
            period=None if row.period_hours is None else timedelta(hours=row.period_hours),
            target=Target(frozenset(map(Role, row.roles)), row.min_ratings, row.joined_after),
            stopped_at=row.stopped_at,
            report=row.report,
        )
        for row in rows
    ]
