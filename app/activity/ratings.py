"""Ratings of movies by members: 0.5 to 5 stars, stored as 1 to 10 half-stars."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import psycopg.errors
from numpy.typing import NDArray
from sqlalchemy import delete, func, select, text, tuple_
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import activity_tables as tables
from app.db.engine import Sessions
from app.db.reads import array_in, sql_of

MAX_HALF_STARS = 10


class RatingError(Exception):
    """An expected failure; its message is shown to the client."""


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
    """The ratings of a movie by all members."""

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


def upsert(rows: str, replaces: str) -> str:
    """The statement that stores ratings of one member or several.

    `rows`: a query for user_id, movie_id, half_stars, rated_at, implicit and first_rated_at, in the order of
    the key, so that statements do not deadlock. `replaces`: a condition, for the rating `excluded` to replace
    the one `known`. A row keeps the time of its first rating.
    """
    return f"""
    INSERT INTO ratings AS known (user_id, movie_id, half_stars, rated_at, implicit, first_rated_at)
    {rows}
    ON CONFLICT (user_id, movie_id) DO UPDATE
    SET half_stars = excluded.half_stars, rated_at = excluded.rated_at, implicit = excluded.implicit,
        first_rated_at = nullif(
            least(known.first_rated_at, known.rated_at, excluded.first_rated_at, excluded.rated_at),
            excluded.rated_at
        )
    WHERE {replaces}
    """  # noqa: S608 - constants


RATE = text(
    upsert(
        "SELECT :user_id, :movie_id, CAST(:half_stars AS smallint), now(), false, CAST(NULL AS timestamptz)",
        replaces="true",
    )
    + "RETURNING user_id, movie_id, half_stars, rated_at"
)

# One row of arrays in Postgres's binary format, which numpy reads without an object for each rating. A fixed
# order makes sums reproducible.
ARRAYS = """
    SELECT array_send(array_agg(movie_id)), array_send(array_agg(half_stars)),
        array_send(array_agg(extract(epoch FROM rated_at)::bigint))
"""
RATINGS_UNTIL = """
    {arrays} FROM (
        SELECT movie_id, half_stars, rated_at FROM ratings
        WHERE user_id = {user_id} AND rated_at <= coalesce(CAST(:until AS timestamptz), 'infinity')
        ORDER BY movie_id
    ) AS rated
"""
HISTORY = RATINGS_UNTIL.format(arrays=ARRAYS, user_id=":user_id")  # the arguments of `history_in`
HISTORY_SQL = sql_of(text(HISTORY))
HISTORIES = text(
    "SELECT member.id, history.* FROM unnest(CAST(:user_ids AS bigint[])) AS member (id) "  # noqa: S608
    f"CROSS JOIN LATERAL ({RATINGS_UNTIL.format(arrays=ARRAYS, user_id='member.id')}) "
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
    ) AS rated) AS history (movie_ids, half_stars, rated_at)
    """  # noqa: S608 - a constant
)
RATINGS_OF = sql_of(
    text(
        "SELECT user_id, movie_id, half_stars, rated_at FROM ratings "
        "WHERE user_id = :user_id AND movie_id = ANY(CAST(:movie_ids AS bigint[]))"
    )
)
STATS = text("SELECT rating_count, half_stars_sum FROM movie_stats WHERE movie_id = :movie_id")
STATS_SQL = sql_of(STATS)
RATED_SINCE = sql_of(
    text(
        "SELECT array_send(array_agg(movie_id)) FROM ratings "
        "WHERE user_id = ANY(CAST(:user_ids AS bigint[])) AND rated_at > :since"
    )
)
MOST_NEWEST = 2_000  # of a member, used to update item factors online

History = tuple[NDArray[np.int64], NDArray[np.int16], NDArray[np.int64]]


async def rate(sessions: Sessions, user_id: int, movie_id: int, stars: float) -> Rated:
    """Store or replace a member's rating of a movie; durable when this returns.

    Raises InvalidStars or MovieNotFound.
    """
    rating = {"user_id": user_id, "movie_id": movie_id, "half_stars": half_stars_of(stars)}
    try:
        async with sessions.begin() as session:
            row = (await session.execute(RATE, rating)).one()
            return Rated(Rating(*row), await stats_of(session, movie_id))
    except IntegrityError as error:
        cause = error.orig
        if not isinstance(cause, psycopg.errors.ForeignKeyViolation):
            raise
        if cause.diag.constraint_name == "ratings_movie_id_fkey":
            raise MovieNotFound("There is no such movie.") from None
        raise


async def remove(sessions: Sessions, user_id: int, movie_id: int) -> Stats:
    """Delete a rating. Returns the statistics of the movie without it. Raises NotRated if there is none."""
    own_rating = (tables.Rating.user_id == user_id) & (tables.Rating.movie_id == movie_id)
    async with sessions.begin() as session:
        statement = delete(tables.Rating).where(own_rating).returning(tables.Rating.movie_id)
        if await session.scalar(statement) is None:
            raise NotRated("You have not rated this movie.")
        return await stats_of(session, movie_id)


async def history(sessions: Sessions, user_id: int, until: datetime | None = None) -> History:
    """Read a member's ratings up to `until`. Lists are computed from it, so a rating changes the next list.

    Returns movie ids int64 (n,) ascending, half-stars int16 (n,) and times int64 (n,) in seconds since 1970.
    """
    row = await sessions.reads.row(HISTORY_SQL, {"user_id": user_id, "until": until})
    assert row is not None, "an aggregate has a row"
    return history_in(*row)


async def histories(
    session: AsyncSession, user_ids: Sequence[int], until: datetime | None = None
) -> dict[int, History]:
    """Read `history` of several members, by member id."""
    rows = await session.execute(HISTORIES, {"user_ids": list(user_ids), "until": until})
    return {user_id: history_in(*columns) for user_id, *columns in rows}


async def newest_histories(session: AsyncSession, user_ids: Sequence[int]) -> dict[int, History]:
    """Read the MOST_NEWEST newest ratings of several members, by member id."""
    rows = await session.execute(NEWEST_HISTORIES, {"user_ids": list(user_ids), "most": MOST_NEWEST})
    return {user_id: history_in(*columns) for user_id, *columns in rows}


def history_in(movie_ids: bytes | None, half_stars: bytes | None, rated_at: bytes | None) -> History:
    return (
        array_in(movie_ids, np.int64),
        array_in(half_stars, np.int16),
        array_in(rated_at, np.int64),
    )


async def rated_since(sessions: Sessions, user_ids: Sequence[int], since: datetime) -> NDArray[np.int64]:
    """Movies that any of these members rated after `since`, int64 (n,)."""
    row = await sessions.reads.row(RATED_SINCE, {"user_ids": list(user_ids), "since": since})
    return array_in(None if row is None else row[0], np.int64)


async def user_ratings(
    sessions: Sessions,
    user_id: int,
    count: int,
    key: tuple[datetime, int] | tuple[int, datetime, int] | None,
    *,
    by_stars: bool = False,
    descending: bool = True,
    backward: bool = False,
) -> list[Rating]:
    """At most `count` ratings by time, or `by_stars`, by default newest or best first.

    `key`: the time and movie id of a rating, `by_stars` after its half-stars. The ratings are those after it,
    or `backward` those before it.
    """
    rated = tables.Rating
    stars = (rated.half_stars,) if by_stars else ()
    place = tuple_(*stars, rated.rated_at, rated.movie_id)
    statement = select(*COLUMNS).where(rated.user_id == user_id).limit(count)
    upward = descending == backward
    if key is not None:
        statement = statement.where(place > tuple_(*key) if upward else place < tuple_(*key))
    order = (column if upward else column.desc() for column in place.clauses)
    async with sessions() as session:
        ratings = [Rating(*row) for row in await session.execute(statement.order_by(*order))]
    return ratings[::-1] if backward else ratings


async def count_ratings(sessions: Sessions, user_id: int) -> int:
    statement = select(func.count()).select_from(tables.Rating).where(tables.Rating.user_id == user_id)
    async with sessions() as session:
        return await session.scalar(statement) or 0


async def ratings_of(sessions: Sessions, user_id: int, movie_ids: Sequence[int]) -> dict[int, Rating]:
    """A member's ratings of these movies, by movie id; movies not rated are left out."""
    rows = await sessions.reads.rows(RATINGS_OF, {"user_id": user_id, "movie_ids": list(movie_ids)})
    found = (Rating(*row) for row in rows)
    return {rating.movie_id: rating for rating in found}


async def histograms(sessions: Sessions, movie_ids: Sequence[int]) -> list[list[int]]:
    """For each movie the numbers of ratings of 1, 2 ... 10 half-stars."""
    rated = tables.Rating
    statement = (
        select(rated.movie_id, rated.half_stars, func.count())
        .where(rated.movie_id == func.any(list(movie_ids)))
        .group_by(rated.movie_id, rated.half_stars)
    )
    found = {movie_id: [0] * MAX_HALF_STARS for movie_id in movie_ids}
    async with sessions() as session:
        for movie_id, half_stars, count in await session.execute(statement):
            found[movie_id][half_stars - 1] = count
    return [found[movie_id] for movie_id in movie_ids]


async def stats_of(session: AsyncSession, movie_id: int) -> Stats:
    """The statistics of a movie within a transaction, with what it has stored."""
    row = (await session.execute(STATS, {"movie_id": movie_id})).one_or_none()
    return Stats(0, 0) if row is None else Stats(*row)


async def current_stats(sessions: Sessions, movie_id: int) -> Stats:
    row = await sessions.reads.row(STATS_SQL, {"movie_id": movie_id})
    return Stats(0, 0) if row is None else Stats(*row)


def half_stars_of(stars: float) -> int:
    """Convert stars to half-stars. Raises InvalidStars unless stars are 0.5, 1, 1.5 ... 5, also for nan."""
    half_stars = stars * 2
    if not 1 <= half_stars <= MAX_HALF_STARS or half_stars != int(half_stars):
        raise InvalidStars(f"Stars must be from 0.5 to 5 in steps of 0.5, not {in_full(stars)}.")
    return int(half_stars)


def in_full(number: float) -> str:
    """A number with all its digits, for an error message: rounded, it may look valid."""
    return repr(number).removesuffix(".0")
