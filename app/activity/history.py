"""A member's history: their events and their watchlist."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, func, select, text, tuple_

from app.activity.feedback import Kind
from app.db.activity_tables import EventCount, Feedback
from app.db.engine import Sessions
from app.db.reads import array_in


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
AMONG = "movie_id = ANY(CAST(:among AS bigint[]))"  # an array literal, which the driver need not convert


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
    """The events of a page: of these kinds, or of all; of the movies of an array literal, or of all; newest
    or oldest first.
    """

    kinds: Sequence[Kind] | None = None
    movie_ids: str | None = None
    newest_first: bool = True

    def of(self, user_id: int) -> list[ColumnElement[bool]]:
        """The conditions of a member's events."""
        conditions: list[Any] = [Feedback.user_id == user_id]
        if self.kinds is not None:
            conditions.append(Feedback.kind.in_(self.kinds))
        if self.movie_ids is not None:
            conditions.append(text(f"feedback.{AMONG}").bindparams(among=self.movie_ids))
        return conditions


ALL = Wanted()


async def events(
    sessions: Sessions, user_id: int, count: int, key: Key | None, wanted: Wanted = ALL
) -> list[HistoryEntry]:
    """At most `count` events, in the order that `wanted` asks for, after the time and id of `key`."""
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


async def movies_of_events(sessions: Sessions, user_id: int) -> NDArray[np.int64]:
    """The movies of the member's events, int64 (n,), each once."""
    movies = func.array_send(func.array_agg(Feedback.movie_id.distinct()))
    async with sessions() as session:
        return array_in(await session.scalar(select(movies).where(Feedback.user_id == user_id)), np.int64)


async def count_events(sessions: Sessions, user_id: int, wanted: Wanted = ALL) -> int:
    if wanted.movie_ids is not None:
        counted = select(func.count()).select_from(Feedback).where(*wanted.of(user_id))
    else:
        counted = select(func.sum(EventCount.events)).where(EventCount.user_id == user_id)
        if wanted.kinds is not None:
            counted = counted.where(EventCount.kind.in_(wanted.kinds))
    async with sessions() as session:
        return int(await session.scalar(counted) or 0)


async def watchlist(
    sessions: Sessions, user_id: int, count: int, key: Key | None, wanted: Wanted = ALL
) -> list[WatchlistEntry]:
    """At most `count` movies of the watchlist by the time at which they were added, after that and the movie
    id of `key`.
    """
    sign, direction = ("<", "DESC") if wanted.newest_first else (">", "ASC")
    after = "" if key is None else f"AND (added_at, movie_id) {sign} (:added_at, :movie_id)"
    among = "" if wanted.movie_ids is None else f"AND {AMONG}"
    order = f"ORDER BY added_at {direction}, movie_id {direction}"
    given: dict[str, Any] = {} if key is None else {"added_at": key[0], "movie_id": key[1]}
    if wanted.movie_ids is not None:
        given["among"] = wanted.movie_ids
    statement = text(f"{WATCHLIST} {after} {among} {order} LIMIT :count")
    async with sessions() as session:
        rows = await session.execute(statement, {"user_id": user_id, "count": count, **given})
        return [WatchlistEntry(*row) for row in rows]


async def movies_of_watchlist(sessions: Sessions, user_id: int) -> NDArray[np.int64]:
    """The movies of the watchlist, int64 (n,)."""
    statement = text(f"SELECT array_send(array_agg(movie_id)) FROM ({WATCHLIST}) AS watchlist")  # noqa: S608 - a constant
    async with sessions() as session:
        return array_in(await session.scalar(statement, {"user_id": user_id}), np.int64)


async def count_watchlist(sessions: Sessions, user_id: int) -> int:
    statement = text(f"SELECT count(*) FROM ({WATCHLIST}) AS watchlist")  # noqa: S608 - a constant
    async with sessions() as session:
        return await session.scalar(statement, {"user_id": user_id}) or 0
