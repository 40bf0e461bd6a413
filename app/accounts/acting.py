"""API keys that act for members of other systems.

The audit log holds an entry for each member that a key makes, one a day for each key that acts, and one for
each act that deletes, hands out or merges a member's data; see `schema.execution.permissions`. So it grows
with members and days, not with requests.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import external_members
from app.accounts.api_keys import ApiKey
from app.accounts.viewer import Role, Viewer
from app.db.account_tables import AuditEntry
from app.db.engine import Sessions

MAKE_MEMBER, ACT_FOR_MEMBERS = "makeMember", "actForMembers"
MAX_NOTED = 10_000  # keys

NOTE_DAY = text(
    """
    INSERT INTO audit_log (act, api_key_id, arguments, outcome, address)
    SELECT :act, :key_id, jsonb_build_object('source', CAST(:source AS text)), 'ACTING',
        CAST(:address AS text)
    WHERE NOT EXISTS (SELECT FROM audit_log
        WHERE api_key_id = :key_id AND act = :act AND begun_at >= CAST(:day AS timestamptz))
    """
)


@dataclass(slots=True)
class Acting:
    """The last day on which this process noted each key as acting, by the key's id."""

    noted: dict[int, date] = field(default_factory=dict)

    async def note(self, sessions: Sessions, key: ApiKey, address: str | None) -> None:
        """Note in the audit log that a key acts today, once for all processes."""
        today = datetime.now(UTC).date()
        if self.noted.get(key.id) == today:
            return
        params = {"act": ACT_FOR_MEMBERS, "key_id": key.id, "source": key.source, "address": address}
        async with sessions.begin() as session:
            await session.execute(NOTE_DAY, params | {"day": datetime(*today.timetuple()[:3], tzinfo=UTC)})
        if len(self.noted) >= MAX_NOTED:
            self.noted.clear()
        self.noted[key.id] = today


async def viewer_for(
    sessions: Sessions, acting: Acting, key: ApiKey, external_id: str, address: str | None
) -> Viewer:
    """The member of the key's source with this id, made at the first use, as a user without a further role.

    Takes one statement, except at a first use and once a day. Raises MemberMerged.
    """
    assert key.source is not None, "a key with the scope MEMBERS has one"
    await acting.note(sessions, key, address)
    member = await external_members.find_one(sessions, key.source, external_id)
    if member is None:
        async with sessions.begin() as session:
            member, made = await external_members.make_one(session, key.source, external_id)
            if made:
                await note_made(session, key, member.username, address)
    return replace(member, role=Role.USER, key_id=key.id)


async def note_made(session: AsyncSession, key: ApiKey, username: str, address: str | None) -> None:
    arguments = {"input": {"username": username, "source": key.source}}
    entry = {"act": MAKE_MEMBER, "api_key_id": key.id, "arguments": arguments, "outcome": "MADE"}
    await session.execute(insert(AuditEntry).values(**entry, address=address))
