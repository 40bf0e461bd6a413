"""The end of a membership: what belongs to a member is deleted with them."""

import re

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import usernames
from app.db.account_tables import ApiKey, AuditEntry
from app.db.engine import Sessions
from app.db.tables import MovieStats, Rating, User

DELETED = "(deleted member)"  # in place of a name in what somebody wrote
FREE_TEXT = ("note", "name")  # fields of an operator's input that hold any text


async def delete_member(sessions: Sessions, user_id: int) -> str | None:
    """Delete a member with all that belongs to them; gives the name they had, None where there is none.

    The movies' figures are right again with it, each process signs them out, and a model trained from then on
    is what it would be had they never been here. What operators did stays in the audit log, without the name
    of the member, and without their address and notes where they were the operator.
    """
    rated = select(Rating.movie_id).where(Rating.user_id == user_id)
    async with sessions.begin() as session:
        username = await session.scalar(select(User.username).where(User.id == user_id).with_for_update())
        if username is None:
            return None
        # In one order: two members who leave at once would wait for each other's movies.
        stats = select(MovieStats.movie_id).where(MovieStats.movie_id.in_(rated))
        await session.execute(stats.order_by(MovieStats.movie_id).with_for_update())
        await clear_traces(session, user_id, username)
        await session.execute(delete(User).where(User.id == user_id))
    return username


async def clear_traces(session: AsyncSession, user_id: int, username: str) -> None:
    """Clear what rows that outlive a member hold on them."""
    theirs = AuditEntry.user_id == user_id
    by_their_key = AuditEntry.api_key_id.in_(select(ApiKey.id).where(ApiKey.created_by == user_id))
    await session.execute(update(AuditEntry).where(theirs | by_their_key).values(address=None))
    without_note = AuditEntry.arguments.op("#-")(text("'{input,note}'"))
    await session.execute(update(AuditEntry).where(theirs).values(arguments=without_note))

    # As the operator spelled it.
    spelled = func.lower(func.normalize(AuditEntry.arguments["input"]["username"].astext, text("NFKC")))
    named = spelled.in_([func.lower(username), usernames.key(username)])
    without_name = AuditEntry.arguments.op("#-")(text("'{input,username}'"))
    await session.execute(update(AuditEntry).where(named).values(arguments=without_name))

    # As a word of its own: a short name is also part of other words.
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
