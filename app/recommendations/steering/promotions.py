"""Promotions of operators: pin movies to the top of lists, or boost their scores, for a time."""

import asyncio
import logging
import math
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Select, func, insert, or_, select, text, update
from sqlalchemy.exc import IntegrityError

from app.db import steering_tables as tables
from app.db.engine import Sessions
from app.db.notifications import Changes, Topic
from app.db.outages import OF_DATABASE, FaultLog
from app.recommendations.steering.subjects import Subject, UnknownSubject, subject_in

MAX_LIVE = 50  # promotions that are neither withdrawn nor over
LEAST_STRENGTH, MOST_STRENGTH = 0.1, 5.0  # of a boost, in standard deviations of the scores of a list
USUAL_TIME = timedelta(days=7)
LONGEST_TIME = timedelta(days=366)
KEPT_FOR = timedelta(days=1)  # after its end, for later pages of lists
RETRY_SECONDS = 5.0
REREAD_SECONDS = 60.0  # also without a notification, should one be lost

log = logging.getLogger("marquee.promotions")


class PromotionKind(StrEnum):
    PIN = "PIN"
    BOOST = "BOOST"


class InvalidPromotion(Exception):
    """The promotion breaks a rule; it is not stored. The message names the field, the rule and the remedy."""


class PromotionNotFound(Exception):
    """There is no such promotion, or it is withdrawn or over."""


@dataclass(frozen=True, slots=True)
class PromotionPlan:
    """A promotion to begin. `starts_at`: None for now; `ends_at`: None for USUAL_TIME after the start."""

    kind: PromotionKind
    subject: Subject
    strength: float | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Promotion:
    """`strength`: of a BOOST, in standard deviations of the scores of a list."""

    id: int
    kind: PromotionKind
    subject: Subject
    strength: float | None
    starts_at: datetime
    ends_at: datetime
    created_at: datetime
    withdrawn_at: datetime | None

    def live(self, at: datetime) -> bool:
        began = self.created_at <= at and self.starts_at <= at
        return began and at < self.ends_at and (self.withdrawn_at is None or at < self.withdrawn_at)


@dataclass(slots=True)
class Promotions:
    """The promotions that a process keeps in memory, in step with the database, oldest first.

    Those that ended lately are among them, for later pages of the lists that began with them.
    """

    known: tuple[Promotion, ...] = ()

    def live(self, at: datetime) -> tuple[Promotion, ...]:
        return tuple(each for each in self.known if each.live(at)) if self.known else ()

    async def read(self, sessions: Sessions) -> None:
        last_end = func.now() - KEPT_FOR
        kept = select(tables.Promotion).where(
            tables.Promotion.ends_at > last_end,
            or_(tables.Promotion.withdrawn_at.is_(None), tables.Promotion.withdrawn_at > last_end),
        )
        self.known = tuple(await _read(sessions, kept.order_by(tables.Promotion.id)))

    async def follow(self, sessions: Sessions, changes: Changes) -> None:
        """Read again after each change, forever. During a database outage the last ones are used."""
        faults = FaultLog(log, "cannot read the promotions")
        with changes.watch((Topic.PROMOTION, "all")) as changed:
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


def checked(plan: PromotionPlan, now: datetime) -> dict[str, Any]:
    """The columns of a promotion. Raises InvalidPromotion."""
    starts_at = plan.starts_at or now
    ends_at = plan.ends_at or starts_at + USUAL_TIME
    if ends_at <= max(starts_at, now):
        raise InvalidPromotion("endsAt must be after the start and in the future.")
    if ends_at > max(starts_at, now) + LONGEST_TIME:
        raise InvalidPromotion(f"endsAt must be at most {LONGEST_TIME.days} days after the start.")
    if starts_at > now + LONGEST_TIME:
        raise InvalidPromotion(f"startsAt must be at most {LONGEST_TIME.days} days ahead.")
    boost, strength = plan.kind is PromotionKind.BOOST, plan.strength
    if not boost and strength is not None:
        raise InvalidPromotion("strength belongs to a BOOST: leave it out of a PIN.")
    if boost and (strength is None or not math.isfinite(strength)):
        raise InvalidPromotion("strength must be given for a BOOST.")
    if strength is not None and not LEAST_STRENGTH <= strength <= MOST_STRENGTH:
        raise InvalidPromotion(f"strength must be from {LEAST_STRENGTH} to {MOST_STRENGTH}.")
    return {
        "kind": plan.kind.value,
        "strength": strength,
        "starts_at": starts_at,
        "ends_at": ends_at,
        **plan.subject.columns(),
    }


async def begin(sessions: Sessions, created_by: int | None, plan: PromotionPlan) -> Promotion:
    """Store a promotion. Raises InvalidPromotion, and UnknownSubject if it was deleted meanwhile."""
    values = checked(plan, datetime.now(UTC)) | {"created_by": created_by}
    live = select(func.count()).where(
        tables.Promotion.ends_at > func.now(), tables.Promotion.withdrawn_at.is_(None)
    )
    try:
        async with sessions.begin() as session:
            await session.execute(text("LOCK TABLE promotions IN SHARE ROW EXCLUSIVE MODE"))
            if (await session.scalar(live) or 0) >= MAX_LIVE:
                raise InvalidPromotion(
                    f"There are {MAX_LIVE} promotions that are not over: withdraw one first."
                )
            statement = insert(tables.Promotion).values(values).returning(tables.Promotion)
            return promotion_in((await session.execute(statement)).scalar_one())
    except IntegrityError:
        raise UnknownSubject(f"The catalog has no such {plan.subject.kind.lower()}.") from None


async def withdraw(sessions: Sessions, promotion_id: int) -> Promotion:
    """End a promotion now. Raises PromotionNotFound."""
    there = (
        tables.Promotion.id == promotion_id,
        tables.Promotion.withdrawn_at.is_(None),
        tables.Promotion.ends_at > func.now(),
    )
    statement = update(tables.Promotion).where(*there).values(withdrawn_at=func.now())
    async with sessions.begin() as session:
        row = await session.scalar(statement.returning(tables.Promotion))
        if row is None:
            raise PromotionNotFound("There is no such promotion, or it is withdrawn or over.")
        return promotion_in(row)


async def page(sessions: Sessions, count: int, before: int | None) -> list[Promotion]:
    """At most `count` promotions, newest first, after the one with the id `before`."""
    statement = select(tables.Promotion).order_by(tables.Promotion.id.desc()).limit(count)
    if before is not None:
        statement = statement.where(tables.Promotion.id < before)
    return await _read(sessions, statement)


async def _read(sessions: Sessions, statement: Select[tables.Promotion]) -> list[Promotion]:
    async with sessions() as session:
        return [promotion_in(row) for row in (await session.scalars(statement)).all()]


def promotion_in(row: tables.Promotion) -> Promotion:
    return Promotion(
        row.id,
        PromotionKind(row.kind),
        subject_in(movie_id=row.movie_id, genre_id=row.genre_id, collection=row.collection),
        row.strength,
        row.starts_at,
        row.ends_at,
        row.created_at,
        row.withdrawn_at,
    )
