"""A member's state of movies: rating, watchlist, watching and rejection, in one statement."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text

from app.activity.history import watchlist_of
from app.activity.ratings import Rating
from app.db.engine import Sessions

STATES = f"""
SELECT wanted.movie_id, half_stars, rated_at, seen.watched_fraction, coalesce(seen.hidden, false) AS hidden,
    listed.movie_id IS NOT NULL AS on_watchlist
FROM unnest(CAST(:movie_ids AS bigint[])) AS wanted (movie_id)
LEFT JOIN ratings ON ratings.user_id = :user_id AND ratings.movie_id = wanted.movie_id
LEFT JOIN (
    SELECT movie_id, max(watched_fraction) FILTER (WHERE kind = 'WATCH') AS watched_fraction,
        bool_or(kind = 'NOT_INTERESTED') AS hidden
    FROM feedback
    WHERE user_id = :user_id AND movie_id = ANY(:movie_ids)
        AND kind IN ('LIKE', 'DISLIKE', 'NOT_INTERESTED', 'WATCH')
    GROUP BY movie_id
) AS seen ON seen.movie_id = wanted.movie_id
LEFT JOIN ({watchlist_of("AND movie_id = ANY(:movie_ids)")}) AS listed ON listed.movie_id = wanted.movie_id
"""  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class MovieState:
    """`watched_fraction`: the largest reported; None if none is. `hidden`: marked NOT_INTERESTED."""

    rating: Rating | None
    on_watchlist: bool
    watched_fraction: float | None
    hidden: bool


async def movie_states(sessions: Sessions, user_id: int, movie_ids: Sequence[int]) -> dict[int, MovieState]:
    """The member's state of each of these movies, by movie id."""
    async with sessions() as session:
        rows = await session.execute(text(STATES), {"user_id": user_id, "movie_ids": list(set(movie_ids))})
        return {
            row.movie_id: MovieState(
                rating=None
                if row.half_stars is None
                else Rating(user_id, row.movie_id, row.half_stars, row.rated_at),
                on_watchlist=row.on_watchlist,
                watched_fraction=row.watched_fraction,
                hidden=row.hidden,
            )
            for row in rows
        }
