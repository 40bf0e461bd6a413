"""The audit log of operators' actions: recorded before they run, completed with the outcome."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update

from app.accounts.api_keys import ApiKey
from app.accounts.viewer import Viewer
from app.db.account_tables import ApiKey as StoredKey
from app.db.account_tables import AuditEntry
from app.db.engine import Sessions
from app.db.tables import User


@dataclass(frozen=True, slots=True)
class Act:
    name: str  # of the mutation
    arguments: dict[str, Any]
    address: str | None


@dataclass(frozen=True, slots=True)
class Entry:
    id: int
    begun_at: datetime
    act: str
    arguments: dict[str, Any]
    outcome: str | None
    address: str | None
    username: str | None
    api_key_name: str | None


async def begin(sessions: Sessions, actor: Viewer | ApiKey | None, act: Act) -> int:
    """Record an action before it runs: if interrupted, it has no outcome. Returns the id of the entry.

    The action of a key that acts for a member is the key's. Nobody acts for a command.
    """
    key_id = actor.key_id if isinstance(actor, Viewer) else actor and actor.id
    who = {"api_key_id": key_id} if key_id is not None else {"user_id": actor and actor.id}
    entry = insert(AuditEntry).values(act=act.name, arguments=act.arguments, address=act.address, **who)
    async with sessions.begin() as session:
        return (await session.execute(entry.returning(AuditEntry.id))).scalar_one()


async def end(sessions: Sessions, entry_id: int, outcome: str) -> None:
    """Store the outcome of an action, unless it has one."""
    async with sessions.begin() as session:
        await session.execute(
            update(AuditEntry)
            .where(AuditEntry.id == entry_id, AuditEntry.outcome.is_(None))
            .values(outcome=outcome)
        )


@asynccontextmanager
async def of_command(sessions: Sessions, act: Act) -> AsyncIterator[None]:
    """Record what a command does in the block: `done`, or the name of the exception that ended it."""
    entry_id = await begin(sessions, None, act)
    try:
        yield
    except Exception as error:
        await end(sessions, entry_id, type(error).__name__)
        raise
    await end(sessions, entry_id, "done")


async def entries(sessions: Sessions, count: int, before: int | None) -> list[Entry]:
    """At most `count` entries, newest first, after the one with the id `before`."""
    statement = (
        select(
            AuditEntry.id,
            AuditEntry.begun_at,
            AuditEntry.act,
            AuditEntry.arguments,
            AuditEntry.outcome,
            AuditEntry.address,
            User.username,
            StoredKey.name,
        )
        .outerjoin(User, User.id == AuditEntry.user_id)
        .outerjoin(StoredKey, StoredKey.id == AuditEntry.api_key_id)
        .order_by(AuditEntry.id.desc())
        .limit(count)
    )
    if before is not None:
        statement = statement.where(AuditEntry.id < before)
    async with sessions() as session:
        return [Entry(*row) for row in await session.execute(statement)]
