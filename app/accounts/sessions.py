"""A member's live sessions: list them, and end one or all."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, func, select, tuple_, update

from app.db.account_tables import Session
from app.db.engine import Sessions


class SessionNotFound(Exception):
    """An expected failure; its message is shown to the client."""


@dataclass(frozen=True, slots=True)
class SignIn:
    id: UUID
    created_at: datetime
    refreshed_at: datetime | None
    expires_at: datetime
    address: str | None
    agent: str | None


Key = tuple[datetime, UUID]


def live_of(user_id: int) -> Select[UUID, datetime, datetime | None, datetime, str | None, str | None]:
    return select(
        Session.id,
        Session.created_at,
        Session.refreshed_at,
        Session.expires_at,
        Session.address,
        Session.agent,
    ).where(Session.user_id == user_id, Session.ended_at.is_(None), Session.expires_at > func.now())


async def sign_ins(sessions: Sessions, user_id: int, count: int, key: Key | None) -> list[SignIn]:
    """At most `count` live sessions, newest first, after the one with the time and id of `key`."""
    place = tuple_(Session.created_at, Session.id)
    statement = live_of(user_id).order_by(Session.created_at.desc(), Session.id.desc()).limit(count)
    if key is not None:
        statement = statement.where(place < tuple_(*key))
    async with sessions() as session:
        return [SignIn(*row) for row in await session.execute(statement)]


async def sign_ins_by_id(
    sessions: Sessions, user_id: int, session_ids: Collection[UUID]
) -> dict[UUID, SignIn]:
    """Those of these sessions that are live and belong to the member, by id."""
    async with sessions() as session:
        rows = await session.execute(live_of(user_id).where(Session.id.in_(session_ids)))
        return {row.id: SignIn(*row) for row in rows}


async def end(sessions: Sessions, user_id: int, session_id: UUID) -> None:
    """End a session in every process at once. Raises SessionNotFound unless it is live and the member's."""
    ended = (
        update(Session)
        .where(Session.id == session_id, Session.user_id == user_id, Session.ended_at.is_(None))
        .values(ended_at=func.now())
        .returning(Session.id)
    )
    async with sessions.begin() as session:
        if await session.scalar(ended) is None:
            raise SessionNotFound("You have no such session, or it has ended.")


async def end_all(sessions: Sessions, user_id: int, *, but: UUID | None = None) -> int:
    """End a member's live sessions except `but`, in every process at once. Returns their number."""
    live = [Session.user_id == user_id, Session.ended_at.is_(None), Session.expires_at > func.now()]
    if but is not None:
        live.append(Session.id != but)
    ended = update(Session).where(*live).values(ended_at=func.now()).returning(Session.id)
    async with sessions.begin() as session:
        return len((await session.scalars(ended)).all())
