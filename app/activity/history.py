"""A member's history: their events and their watchlist."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.activity.feedback import Kind
from app.db.activity_tables import EventCount, Feedback
from app.db.engine import Sessions


def watchlist_of(condition: str = "") -> str:
    """The query for the movies of a watchlist; `condition` restricts the events that count.

    A movie is on the watchlist if the latest event that adds or removes it added it, and no rating followed.
    Each part of the union reads its own index once.
    """
    return f"""
SELECT movie_id, added_at FROM (
    SELECT DISTINCT ON (movie_id) movie_id, kind, occurred_at AS added_at
    FROM (
        SELECT movie_id, kind, occurred_at, id FROM feedback WHERE user_id = :user_id AND kind = 'WATCHLIST'
            {condition}
        UNION ALL
        SELECT movie_id, kind, occurred_at, id FROM feedback
        WHERE user_id = :user_id AND kind IN ('LIKE', 'DISLIKE', 'NOT_INTERESTED', 'WATCH')
            AND (kind IN ('DISLIKE', 'NOT_INTERESTED') OR (kind = 'WATCH' AND watched_fraction >= 0.9::real))
            {condition}
    ) AS events
    ORDER BY movie_id, occurred_at DESC, id DESC
) AS latest
WHERE kind = 'WATCHLIST' AND NOT EXISTS (
    SELECT FROM ratings
    WHERE ratings.user_id = :user_id AND ratings.movie_id = latest.movie_id AND rated_at >= added_at
)
"""  # noqa: S608 - constants


WATCHLIST = watchlist_of()


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    id: int
    movie_id: int
    kind: Kind
    occurred_at: datetime
    watched_fraction: float | None


@dataclass(frozen=True, slots=True)
class WatchlistEntry:
    movie_id: int
    added_at: datetime


Key = tuple[datetime, int]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The events of a page: of these kinds, or of all; of these movies, or of all; newest or oldest first."""

    kinds: Sequence[Kind] | None = None
    movie_ids: Sequence[int] | None = None
    newest_first: bool = True

    def of(self, user_id: int) -> list[ColumnElement[bool]]:
        conditions = [Feedback.user_id == user_id]
        if self.kinds is not None:
            conditions.append(Feedback.kind.in_(self.kinds))
        if self.movie_ids is not None:
            conditions.append(Feedback.movie_id == func.any(list(self.movie_ids)))
        return conditions


async def events(
    sessions: Sessions, user_id: int, count: int, key: Key | None, wanted: Wanted | None = None
) -> list[HistoryEntry]:
    """At most `count` events, in the order that `wanted` asks for, after the time and id of `key`."""
    wanted = wanted or Wanted()
    columns = (
        Feedback.id,
        Feedback.movie_id,
        Feedback.kind,
        Feedback.occurred_at,
        Feedback.watched_fraction,
    )
    place = tuple_(Feedback.occurred_at, Feedback.id)
    statement = select(*columns).where(*wanted.of(user_id)).limit(count)
    if key is not None:
        statement = statement.where(place < tuple_(*key) if wanted.newest_first else place > tuple_(*key))
    order = (column.desc() if wanted.newest_first else column for column in place.clauses)
    async with sessions() as session:
        rows = await session.execute(statement.order_by(*order))
        return [
            HistoryEntry(row.id, row.movie_id, Kind(row.kind), row.occurred_at, row.watched_fraction)
            for row in rows
        ]


async def movies_of_events(sessions: Sessions, user_id: int) -> list[int]:
    """The movies of the member's events, each once."""
    statement = select(func.array_agg(Feedback.movie_id.distinct())).where(Feedback.user_id == user_id)
    async with sessions() as session:
        return await session.scalar(statement) or []


async def count_events(sessions: Sessions, user_id: int, wanted: Wanted | None = None) -> int:
    wanted = wanted or Wanted()
    if wanted.movie_ids is not None:
        counted = select(func.count()).select_from(Feedback).where(*wanted.of(user_id))
    else:
        counted = select(func.sum(EventCount.events)).where(EventCount.user_id == user_id)
        if wanted.kinds is not None:
            counted = counted.where(EventCount.kind.in_(wanted.kinds))
    async with sessions() as session:
        return int(await session.scalar(counted) or 0)


async def watchlist(sessions: Sessions, user_id: int, count: int, key: Key | None) -> list[WatchlistEntry]:
    """At most `count` movies of the watchlist, last added first, after the time and movie id of `key`."""
    after = "" if key is None else "AND (added_at, movie_id) < (:added_at, :movie_id)"
    statement = f"{WATCHLIST} {after} ORDER BY added_at DESC, movie_id DESC LIMIT :count"
    place = {} if key is None else {"added_at": key[0], "movie_id": key[1]}
    async with sessions() as session:
        rows = await session.execute(text(statement), {"user_id": user_id, "count": count, **place})
        return [WatchlistEntry(*row) for row in rows]


async def whole_watchlist(sessions: Sessions, user_id: int) -> list[WatchlistEntry]:
    """All movies of the watchlist, last added first."""
    statement = text(f"{WATCHLIST} ORDER BY added_at DESC, movie_id DESC")
    async with sessions() as session:
        rows = await session.execute(statement, {"user_id": user_id})
        return [WatchlistEntry(*row) for row in rows]


async def count_watchlist(sessions: Sessions, user_id: int) -> int:
    statement = text(f"SELECT count(*) FROM ({WATCHLIST}) AS watchlist")  # noqa: S608 - a constant
    async with sessions() as session:
        return await session.scalar(statement, {"user_id": user_id}) or 0


async def watched_since(
    session: AsyncSession, user_id: int, since: datetime, movie_ids: Sequence[int]
) -> set[int]:
    """Those of these movies that the member watched at least in part after `since`."""
    statement = select(Feedback.movie_id).where(
        Feedback.user_id == user_id,
        Feedback.kind == Kind.WATCH.value,
        Feedback.occurred_at > since,
        Feedback.movie_id == func.any(list(movie_ids)),
    )
    return set((await session.scalars(statement)).all())
