"""Members' preferences: favorite genres, and whether other members can find them."""

from collections.abc import Sequence

from sqlalchemy import delete, insert, select, update

from app.db.engine import Sessions
from app.db.tables import FavoriteGenre, Genre, User


class UnknownGenre(Exception):
    """There is no such genre in the catalog."""

    def __init__(self, genre_id: int) -> None:
        super().__init__(genre_id)
        self.genre_id = genre_id


async def favorite_genre_ids(sessions: Sessions, user_id: int) -> list[int]:
    statement = select(FavoriteGenre.genre_id).where(FavoriteGenre.user_id == user_id)
    async with sessions() as session:
        return list((await session.scalars(statement.order_by(FavoriteGenre.position))).all())


async def set_favorite_genres(sessions: Sessions, user_id: int, genre_ids: Sequence[int]) -> None:
    """Replace a member's favorite genres. Raises UnknownGenre, and then changes nothing."""
    unique_ids = list(dict.fromkeys(genre_ids))
    async with sessions.begin() as session:
        # Updates of a member are serialized: two at once would leave a mixture of both.
        await session.execute(select(User.id).where(User.id == user_id).with_for_update(key_share=True))
        existing = set((await session.scalars(select(Genre.id).where(Genre.id.in_(unique_ids)))).all())
        if missing := [genre_id for genre_id in unique_ids if genre_id not in existing]:
            raise UnknownGenre(missing[0])
        await session.execute(delete(FavoriteGenre).where(FavoriteGenre.user_id == user_id))
        if unique_ids:
            rows = [
                {"user_id": user_id, "genre_id": genre_id, "position": position}
                for position, genre_id in enumerate(unique_ids)
            ]
            await session.execute(insert(FavoriteGenre).values(rows))


async def discoverable(sessions: Sessions, user_id: int) -> bool:
    async with sessions() as session:
        return bool(await session.scalar(select(User.discoverable).where(User.id == user_id)))


async def set_discoverable(sessions: Sessions, user_id: int, *, discoverable: bool) -> None:
    """Set whether others can find a member, by similar taste or by name for a group's recommendations."""
    async with sessions.begin() as session:
        await session.execute(update(User).where(User.id == user_id).values(discoverable=discoverable))
