"""Movie nights: members who share a list for some hours, by a link that one of them sends to the others.

A member who has the code of a night may join it. Its members may name each other in lists for a group, also
those who are not discoverable. A member has at most one night; leaving it, or its end, takes that back.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.engine import Sessions

MAX_MEMBERS = 10  # of a night, and of a list for a group
LIFE = timedelta(hours=12)

# The members with whom :viewer_id shares a night now.
COMPANY = """
    SELECT others.user_id FROM night_members AS own JOIN night_members AS others USING (night)
    WHERE own.user_id = :viewer_id AND own.ends_at > now()
"""
OF_MEMBER = text(
    """
    SELECT own.night, own.ends_at, ARRAY(
        SELECT username FROM night_members JOIN users ON users.id = user_id
        WHERE night = own.night ORDER BY joined_at, user_id
    ) AS usernames
    FROM night_members AS own WHERE own.user_id = :user_id AND own.ends_at > now()
    """
)
# Two members who join at the same time wait for each other, so that neither is one too many.
LOCK = text(
    "SELECT user_id FROM night_members WHERE night = :night AND ends_at > now() ORDER BY user_id FOR UPDATE"
)
MEMBERS = text("SELECT user_id, ends_at FROM night_members WHERE night = :night AND ends_at > now()")
ENTER = text(
    """
    INSERT INTO night_members (user_id, night, ends_at) VALUES (:user_id, :night, :ends_at)
    ON CONFLICT (user_id) DO UPDATE SET night = excluded.night, ends_at = excluded.ends_at, joined_at = now()
    """
)
OPEN = text(
    """
    INSERT INTO night_members (user_id, night, ends_at)
    VALUES (:user_id, :night, now() + CAST(:life AS interval))
    ON CONFLICT (user_id) DO UPDATE SET night = excluded.night, ends_at = excluded.ends_at, joined_at = now()
    """
)
LEAVE = text("DELETE FROM night_members WHERE user_id = :user_id RETURNING ends_at > now()")


class InvalidNight(Exception):
    """The night cannot be joined. The message says why."""


@dataclass(frozen=True, slots=True)
class Night:
    """`code`: lets others join. `usernames`: the members, the one who opened it first."""

    code: UUID
    ends_at: datetime
    usernames: list[str]


async def night_of(sessions: Sessions, user_id: int) -> Night | None:
    """The member's night; None without one."""
    async with sessions() as session:
        return await _night_in(session, user_id)


async def open_night(sessions: Sessions, user_id: int) -> Night:
    """Begin a night of the member alone, who leaves an earlier one."""
    async with sessions.begin() as session:
        await session.execute(OPEN, {"user_id": user_id, "night": uuid4(), "life": LIFE})
        night = await _night_in(session, user_id)
    assert night is not None
    return night


async def join(sessions: Sessions, user_id: int, code: UUID) -> Night:
    """Join the night with a code, and leave an earlier one. Raises InvalidNight."""
    async with sessions.begin() as session:
        await session.execute(LOCK, {"night": code})
        rows = (await session.execute(MEMBERS, {"night": code})).all()
        if not rows:
            raise InvalidNight("This night has ended. Ask for a new link.")
        if user_id not in {row.user_id for row in rows}:
            if len(rows) >= MAX_MEMBERS:
                raise InvalidNight(f"This night has {MAX_MEMBERS} members, which is the most.")
            await session.execute(ENTER, {"user_id": user_id, "night": code, "ends_at": rows[0].ends_at})
        night = await _night_in(session, user_id)
    assert night is not None
    return night


async def leave(sessions: Sessions, user_id: int) -> bool:
    """Leave the member's night. Returns whether there was one."""
    async with sessions.begin() as session:
        return bool(await session.scalar(LEAVE, {"user_id": user_id}))


async def _night_in(session: AsyncSession, user_id: int) -> Night | None:
    row = (await session.execute(OF_MEMBER, {"user_id": user_id})).one_or_none()
    return None if row is None else Night(row.night, row.ends_at, list(row.usernames))
