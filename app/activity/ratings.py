"""Ratings: stars that members give to movies, from 0.5 to 5, kept as half-stars 1 to 10."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import psycopg.errors
from numpy.typing import NDArray
from sqlalchemy import delete, func, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import tables
from app.db.engine import Sessions, array_in
from app.db.tables import MovieStats

MAX_HALF_STARS = 10


class RatingError(Exception):
    """An expected outcome; its message is for the caller."""


class InvalidStars(RatingError):
    pass


class MovieNotFound(RatingError):
    pass


class NotRated(RatingError):
    pass


@dataclass(frozen=True, slots=True)
class Rating:
    user_id: int
    movie_id: int
    half_stars: int
    rated_at: datetime

    @property
    def stars(self) -> float:
        return self.half_stars / 2


@dataclass(frozen=True, slots=True)
class Stats:
    """What all members together gave a movie."""

    rating_count: int
    half_stars_sum: int


@dataclass(frozen=True, slots=True)
class Rated:
    rating: Rating
    stats: Stats


COLUMNS = (
    tables.Rating.user_id,
    tables.Rating.movie_id,
    tables.Rating.half_stars,
    tables.Rating.rated_at,
)

# One row of arrays in Postgres's binary format: numpy reads it without an object for each rating. The order
# makes sums the same each time.
ARRAYS = """
    SELECT array_send(array_agg(movie_id)), array_send(array_agg(half_stars)),
        array_send(array_agg(extract(epoch FROM rated_at)::bigint))
"""
KNOWN = """
    {arrays} FROM (
        SELECT movie_id, half_stars, rated_at FROM ratings
        WHERE user_id = {user_id} AND rated_at <= coalesce(CAST(:until AS timestamptz), 'infinity')
        ORDER BY movie_id
    ) AS known
"""
HISTORY = text(KNOWN.format(arrays=ARRAYS, user_id=":user_id"))
HISTORIES = text(
    "SELECT member.id, history.* FROM unnest(CAST(:user_ids AS bigint[])) AS member (id) "  # noqa: S608
    f"CROSS JOIN LATERAL ({KNOWN.format(arrays=ARRAYS, user_id='member.id')}) "
    "AS history (movie_ids, half_stars, rated_at)"
)
NEWEST_HISTORIES = text(
    f"""
    SELECT member.id, history.* FROM unnest(CAST(:user_ids AS bigint[])) AS member (id)
    CROSS JOIN LATERAL ({ARRAYS} FROM (
        SELECT * FROM (
            SELECT movie_id, half_stars, rated_at FROM ratings WHERE user_id = member.id
            ORDER BY rated_at DESC, movie_id DESC LIMIT :most
        ) AS newest ORDER BY movie_id
    ) AS known) AS history (movie_ids, half_stars, rated_at)
    """  # noqa: S608 - all of it stands here
)
MOST_NEWEST = 2_000  # ratings that tell a member's taste to moving movies

History = tuple[NDArray[np.int64], NDArray[np.int16], NDArray[np.int64]]


async def rate(sessions: Sessions, user_id: int, movie_id: int, stars: float) -> Rated:
    """Give a movie stars, or other stars than before; durable when this returns.

    Raises InvalidStars or MovieNotFound.
    """
    rating = insert(tables.Rating).values(user_id=user_id, movie_id=movie_id, half_stars=half_stars_of(stars))
    again = {"half_stars": rating.excluded.half_stars, "rated_at": func.now()}
    key = [tables.Rating.user_id, tables.Rating.movie_id]
    statement = rating.on_conflict_do_update(index_elements=key, set_=again).returning(*COLUMNS)
    try:
        async with sessions.begin() as session:
            row = (await session.execute(statement)).one()
            return Rated(Rating(*row), await stats_of(session, movie_id))
    except IntegrityError as error:
        cause = error.orig
        if not isinstance(cause, psycopg.errors.ForeignKeyViolation):
            raise
        if cause.diag.constraint_name == "ratings_movie_id_fkey":
            raise MovieNotFound("There is no such movie.") from None
        raise


async def remove(sessions: Sessions, user_id: int, movie_id: int) -> Stats:
    """Take a rating back; gives what the others gave. Raises NotRated when there is none."""
    mine = (tables.Rating.user_id == user_id) & (tables.Rating.movie_id == movie_id)
    async with sessions.begin() as session:
        statement = delete(tables.Rating).where(mine).returning(tables.Rating.movie_id)
        if await session.scalar(statement) is None:
            raise NotRated("You have not rated this movie.")
        return await stats_of(session, movie_id)


async def history(session: AsyncSession, user_id: int, until: datetime | None = None) -> History:
    """What a member has rated, as of `until`; read anew for each list, so that a rating changes the next.

    Gives movie ids int64 (n,) ascending, half-stars int16 (n,), and times int64 (n,) in seconds since 1970.
    """
    row = (await session.execute(HISTORY, {"user_id": user_id, "until": until})).one()
    return history_in(*row)


async def histories(
    session: AsyncSession, user_ids: Sequence[int], until: datetime | None = None
) -> dict[int, History]:
    """Several members' `history`, by their ids."""
    rows = await session.execute(HISTORIES, {"user_ids": list(user_ids), "until": until})
    return {user_id: history_in(*columns) for user_id, *columns in rows}


async def newest_histories(session: AsyncSession, user_ids: Sequence[int]) -> dict[int, History]:
    """Several members' `history` by their ids, of each the MOST_NEWEST newest ratings."""
    rows = await session.execute(NEWEST_HISTORIES, {"user_ids": list(user_ids), "most": MOST_NEWEST})
    return {user_id: history_in(*columns) for user_id, *columns in rows}


def history_in(movie_ids: bytes | None, half_stars: bytes | None, rated_at: bytes | None) -> History:
    return (
        array_in(movie_ids, np.int64),
        array_in(half_stars, np.int16),
        array_in(rated_at, np.int64),
    )


async def rated_since(sessions: Sessions, user_ids: Sequence[int], since: datetime) -> NDArray[np.int64]:
    """Movies that any of these members rated after `since`, int64 (n,): those that `history` until then
    leaves out."""
    statement = select(tables.Rating.movie_id).where(
        tables.Rating.user_id == func.any(list(user_ids)), tables.Rating.rated_at > since
    )
    async with sessions() as session:
        return np.array((await session.scalars(statement)).all(), np.int64)


async def user_ratings(
    sessions: Sessions, user_id: int, count: int, key: tuple[datetime, int] | None, *, backward: bool = False
) -> list[Rating]:
    """At most `count` ratings, newest first, behind the one with this time and movie id, or before it."""
    place = tuple_(tables.Rating.rated_at, tables.Rating.movie_id)
    statement = select(*COLUMNS).where(tables.Rating.user_id == user_id).limit(count)
    if key is not None:
        statement = statement.where(place > tuple_(*key) if backward else place < tuple_(*key))
    order = (column if backward else column.desc() for column in place.clauses)
    async with sessions() as session:
        ratings = [Rating(*row) for row in await session.execute(statement.order_by(*order))]
    return ratings[::-1] if backward else ratings


async def count_ratings(sessions: Sessions, user_id: int) -> int:
    statement = select(func.count()).select_from(tables.Rating).where(tables.Rating.user_id == user_id)
    async with sessions() as session:
        return await session.scalar(statement) or 0


async def ratings_of(sessions: Sessions, user_id: int, movie_ids: Sequence[int]) -> dict[int, Rating]:
    """What a member gave these movies, by movie id; movies not rated are not in it."""
    statement = select(*COLUMNS).where(
        tables.Rating.user_id == user_id, tables.Rating.movie_id == func.any(list(movie_ids))
    )
    async with sessions() as session:
        return {row.movie_id: Rating(*row) for row in await session.execute(statement)}


async def stats_of(session: AsyncSession, movie_id: int) -> Stats:
    statement = select(MovieStats.rating_count, MovieStats.half_stars_sum).where(
        MovieStats.movie_id == movie_id
    )
    row = (await session.execute(statement)).one_or_none()
    return Stats(0, 0) if row is None else Stats(*row)


def half_stars_of(stars: float) -> int:
    """Raises InvalidStars unless it is 0.5, 1, 1.5 ... 5; also for what is no number."""
    half_stars = stars * 2
    if not 1 <= half_stars <= MAX_HALF_STARS or half_stars != int(half_stars):
        raise InvalidStars(f"Stars run from 0.5 to 5 in halves; {in_full(stars)} is not one of them.")
    return int(half_stars)


def in_full(number: float) -> str:
    """A number for an error, with each digit that was given: rounded, it may be one that is allowed."""
    return repr(number).removesuffix(".0")
