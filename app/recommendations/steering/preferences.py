"""Members' wishes for more or less of a genre, a person or a collection."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.engine import Sessions
from app.db.steering_tables import ListPreference
from app.db.tables import User
from app.recommendations.steering.subjects import Subject, UnknownSubject, subject_in

MAX_PREFERENCES = 100  # of a member at one time
KEPT_FOR = timedelta(days=1)  # after its end, for later pages of lists


class Direction(StrEnum):
    MORE = "MORE"
    LESS = "LESS"


class TooManyPreferences(Exception):
    """The member has MAX_PREFERENCES preferences. The message is for the client."""


@dataclass(frozen=True, slots=True)
class Preference:
    subject: Subject
    direction: Direction


@dataclass(frozen=True, slots=True)
class SetPreference:
    preference: Preference
    set_at: datetime


# The preferences as of `until`, by id. `{user_id}`: an expression for the member.
PREFERENCES_OF = """(
    SELECT json_agg(json_build_array(genre_id, person_id, collection, direction) ORDER BY id)
    FROM list_preferences
    WHERE user_id = {user_id} AND set_at <= coalesce(CAST(:until AS timestamptz), 'infinity')
        AND (ended_at IS NULL OR ended_at > CAST(:until AS timestamptz))
) AS preferences"""
# Names of the favorite genres, most preferred first.
FAVORITE_GENRES = """ARRAY(
    SELECT genres.name FROM favorite_genres JOIN genres ON genres.id = genre_id
    WHERE user_id = :user_id ORDER BY position
) AS favorite_genres"""


def preferences_in(rows: Sequence[Sequence[Any]] | None) -> tuple[Preference, ...]:
    """The preferences in a value of PREFERENCES_OF."""
    return tuple(
        Preference(
            subject_in(genre_id=genre_id, person_id=person_id, collection=collection), Direction(direction)
        )
        for genre_id, person_id, collection, direction in rows or ()
    )


async def of_member(sessions: Sessions, user_id: int) -> list[SetPreference]:
    """A member's preferences, last set first."""
    statement = select(ListPreference).where(
        ListPreference.user_id == user_id, ListPreference.ended_at.is_(None)
    )
    async with sessions() as session:
        rows = (await session.scalars(statement.order_by(ListPreference.id.desc()))).all()
    return [
        SetPreference(
            Preference(
                subject_in(genre_id=row.genre_id, person_id=row.person_id, collection=row.collection),
                Direction(row.direction),
            ),
            row.set_at,
        )
        for row in rows
    ]


async def set_preference(sessions: Sessions, user_id: int, preference: Preference) -> SetPreference:
    """Store a preference in place of one for the same subject.

    Raises TooManyPreferences, and UnknownSubject if the subject was deleted meanwhile.
    """
    held = select(func.count()).where(ListPreference.user_id == user_id, ListPreference.ended_at.is_(None))
    values = {"user_id": user_id, "direction": preference.direction.value, **preference.subject.columns()}
    try:
        async with sessions.begin() as session:
            await _end(session, user_id, preference.subject)
            if (await session.scalar(held) or 0) >= MAX_PREFERENCES:
                raise TooManyPreferences(
                    f"There are {MAX_PREFERENCES} preferences: take one back with `removePreference` first."
                )
            statement = insert(ListPreference).values(values).returning(ListPreference.set_at)
            set_at = (await session.execute(statement)).scalar_one()
    except IntegrityError:
        raise UnknownSubject(f"The catalog has no such {preference.subject.kind.lower()}.") from None
    return SetPreference(preference, set_at)


async def remove_preference(sessions: Sessions, user_id: int, subject: Subject) -> bool:
    """Take a preference back. Returns whether there was one."""
    async with sessions.begin() as session:
        return await _end(session, user_id, subject)


async def _end(session: AsyncSession, user_id: int, subject: Subject) -> bool:
    """End the preference for a subject, and delete those that ended long ago."""
    # Changes of a member are serialized: two at once could leave two preferences for a subject.
    await session.execute(select(User.id).where(User.id == user_id).with_for_update(key_share=True))
    old = ListPreference.ended_at < func.now() - KEPT_FOR
    await session.execute(delete(ListPreference).where(ListPreference.user_id == user_id, old))
    same = [getattr(ListPreference, name) == value for name, value in subject.columns().items()]
    held = ListPreference.user_id == user_id, ListPreference.ended_at.is_(None)
    ended = update(ListPreference).where(*held, *same).values(ended_at=func.now())
    return bool((await session.scalars(ended.returning(ListPreference.id))).all())
