"""The end of a membership: what belongs to a member is deleted with them."""

from sqlalchemy import delete, func, select, text, update

from app.account_tables import AuditEntry
from app.db import Sessions
from app.tables import MovieStats, Rating, User


async def delete_member(sessions: Sessions, user_id: int) -> str | None:
    """Delete a member with all that belongs to them; gives the name they had, None where there is none.

    The films' figures are right again with it, each process signs them out, and a model trained from then on
    is what it would be had they never been here. What operators did with them stays in the audit log, without
    their name.
    """
    rated = select(Rating.movie_id).where(Rating.user_id == user_id)
    async with sessions.begin() as session:
        username = await session.scalar(select(User.username).where(User.id == user_id).with_for_update())
        if username is None:
            return None
        # In one order: two members who leave at once would wait for each other's films.
        stats = select(MovieStats.movie_id).where(MovieStats.movie_id.in_(rated))
        await session.execute(stats.order_by(MovieStats.movie_id).with_for_update())
        named = func.lower(AuditEntry.arguments["input"]["username"].astext) == func.lower(username)
        arguments = AuditEntry.arguments.op("#-")(text("'{input,username}'"))
        await session.execute(update(AuditEntry).where(named).values(arguments=arguments))
        await session.execute(delete(User).where(User.id == user_id))
    return username
