"""Delete a member with all their data."""

import re

from sqlalchemy import delete, func, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import usernames
from app.db.account_tables import ApiKey, AuditEntry
from app.db.activity_tables import Rating
from app.db.engine import Sessions
from app.db.stream_tables import DeadLetter, ExternalMember
from app.db.tables import MovieStats, User

DELETED = "(deleted member)"  # replaces the username in free text
FREE_TEXT = ("note", "name")  # fields of operators' input with free text


async def delete_member(sessions: Sessions, user_id: int) -> str | None:
    """Delete a member with all their data. Returns the username, or None if there is no such member.

    Movie statistics are updated, all processes end the member's sessions, and models trained from then on do
    not use the member's data. The audit log keeps operators' actions without the member's name, and the
    member's own actions as an operator without address and notes.
    """
    rated = select(Rating.movie_id).where(Rating.user_id == user_id)
    async with sessions.begin() as session:
        username = await session.scalar(select(User.username).where(User.id == user_id).with_for_update())
        if username is None:
            return None
        # Locked in one order, so that concurrent deletions do not deadlock.
        stats = select(MovieStats.movie_id).where(MovieStats.movie_id.in_(rated))
        await session.execute(stats.order_by(MovieStats.movie_id).with_for_update())
        await clear_traces(session, user_id, username)
        await session.execute(delete(User).where(User.id == user_id))
    return username


async def clear_traces(session: AsyncSession, user_id: int, username: str) -> None:
    """Remove a member's personal data from rows that are kept."""
    # Lines of a stream that were refused before the member's first event.
    own = select(ExternalMember.source, ExternalMember.external_id).where(ExternalMember.user_id == user_id)
    await session.execute(
        delete(DeadLetter).where(tuple_(DeadLetter.source, DeadLetter.external_id).in_(own))
    )
    by_member = AuditEntry.user_id == user_id
    by_key = AuditEntry.api_key_id.in_(select(ApiKey.id).where(ApiKey.created_by == user_id))
    await session.execute(update(AuditEntry).where(by_member | by_key).values(address=None))
    without_note = AuditEntry.arguments.op("#-")(text("'{input,note}'"))
    await session.execute(update(AuditEntry).where(by_member).values(arguments=without_note))

    # In any spelling of the operator.
    spelled = func.lower(func.normalize(AuditEntry.arguments["input"]["username"].astext, text("NFKC")))
    named = spelled.in_([func.lower(username), usernames.key(username)])
    without_name = AuditEntry.arguments.op("#-")(text("'{input,username}'"))
    await session.execute(update(AuditEntry).where(named).values(arguments=without_name))

    # Only as a whole word, since a short name is also part of other words.
    word = rf"(?<!\w){re.escape(username)}(?!\w)"
    for field in FREE_TEXT:
        written = AuditEntry.arguments["input"][field].astext
        path = text(f"'{{input,{field}}}'")
        hidden = func.to_jsonb(func.regexp_replace(written, word, DELETED, "gi"))
        arguments = func.jsonb_set(AuditEntry.arguments, path, hidden)
        mentioned = written.regexp_match(word, flags="i")
        await session.execute(update(AuditEntry).where(mentioned).values(arguments=arguments))
    name = func.regexp_replace(ApiKey.name, word, DELETED, "gi")
    mentioned = ApiKey.name.regexp_match(word, flags="i")
    await session.execute(update(ApiKey).where(mentioned).values(name=name))
