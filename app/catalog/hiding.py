"""Hide movies from all lists without deleting them.

A hidden movie stays in the catalog: its page, its ratings, browsing and search by words have it. Lists leave
it out: recommendations, home pages, lists of groups, onboarding and similar movies.
"""

from sqlalchemy import func, insert, select, update

from app.activity.ratings import MovieNotFound
from app.db.engine import Sessions
from app.db.tables import CatalogChange, CatalogRevision, Movie
from app.serving.live import Live


async def set_hidden(sessions: Sessions, live: Live, movie_id: int, *, hidden: bool) -> None:
    """Hide a movie, or show it again. This process serves the change on return. Raises MovieNotFound."""
    await store_hidden(sessions, movie_id, hidden=hidden)
    await live.refresh()


async def store_hidden(sessions: Sessions, movie_id: int, *, hidden: bool) -> None:
    """Store the change; all services follow it. Raises MovieNotFound."""
    at = func.coalesce(Movie.hidden_at, func.now()) if hidden else None
    async with sessions.begin() as session:
        since = await session.scalar(select(CatalogRevision.revision).with_for_update())
        change = update(Movie).where(Movie.id == movie_id).values(hidden_at=at)
        if await session.scalar(change.returning(Movie.id)) is None:
            raise MovieNotFound("There is no movie with this id.")
        until = await session.scalar(select(CatalogRevision.revision))
        changed = insert(CatalogChange).values(since=since, until=until, movie_id=movie_id)
        await session.execute(changed)


async def hidden_movies(sessions: Sessions, count: int, after: int | None) -> list[int]:
    """Ids of at most `count` hidden movies, ascending, after the id `after`."""
    statement = select(Movie.id).where(Movie.hidden_at.is_not(None), Movie.id > (after or 0))
    async with sessions() as session:
        return list((await session.scalars(statement.order_by(Movie.id).limit(count))).all())
