"""What members have told of themselves: the genres they like best, and whether others may find them."""

from collections.abc import Sequence

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.engine import Sessions
from app.db.tables import FavoriteGenre, Genre, User


class UnknownGenre(Exception):
    """The catalogue does not have the genre."""

    def __init__(self, genre_id: int) -> None:
        super().__init__(genre_id)
        self.genre_id = genre_id


async def favorite_genre_names(session: AsyncSession, user_id: int) -> tuple[str, ...]:
    """In the member's own order."""
    statement = select(Genre.name).join(FavoriteGenre).where(FavoriteGenre.user_id == user_id)
    return tuple((await session.scalars(statement.order_by(FavoriteGenre.position))).all())


async def favorite_genre_ids(sessions: Sessions, user_id: int) -> list[int]:
    statement = select(FavoriteGenre.genre_id).where(FavoriteGenre.user_id == user_id)
    async with sessions() as session:
        return list((await session.scalars(statement.order_by(FavoriteGenre.position))).all())


async def set_favorite_genres(sessions: Sessions, user_id: int, genre_ids: Sequence[int]) -> None:
    """Replace the member's favourites; raises UnknownGenre, and then changes nothing."""
    wanted = list(dict.fromkeys(genre_ids))
    async with sessions.begin() as session:
        # One at a time for a member: two at once would leave a mixture of both.
        await session.execute(select(User.id).where(User.id == user_id).with_for_update(key_share=True))
        known = set((await session.scalars(select(Genre.id).where(Genre.id.in_(wanted)))).all())
        if missing := [genre_id for genre_id in wanted if genre_id not in known]:
            raise UnknownGenre(missing[0])
        await session.execute(delete(FavoriteGenre).where(FavoriteGenre.user_id == user_id))
        if wanted:
            rows = [
                {"user_id": user_id, "genre_id": genre_id, "position": position}
                for position, genre_id in enumerate(wanted)
            ]
            await session.execute(insert(FavoriteGenre).values(rows))


async def discoverable(sessions: Sessions, user_id: int) -> bool:
    async with sessions() as session:
        return bool(await session.scalar(select(User.discoverable).where(User.id == user_id)))


async def set_discoverable(sessions: Sessions, user_id: int, *, discoverable: bool) -> None:
    """Whether others find a member, as like in taste or by name for a group's list, from now on."""
    async with sessions.begin() as session:
        await session.execute(update(User).where(User.id == user_id).values(discoverable=discoverable))
