"""A member's state of movies: rating, watchlist, watching and rejection, in one statement."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text

from app.activity.history import watchlist_of
from app.activity.ratings import Rating
from app.db.engine import Sessions
from app.db.reads import sql_of

STATES = f"""
SELECT wanted.movie_id, half_stars, rated_at, seen.watched_fraction, coalesce(seen.hidden, false) AS hidden,
    listed.movie_id IS NOT NULL AS on_watchlist
FROM unnest(CAST(:movie_ids AS bigint[])) AS wanted (movie_id)
LEFT JOIN ratings ON ratings.user_id = :user_id AND ratings.movie_id = wanted.movie_id
LEFT JOIN (
    SELECT movie_id, max(watched_fraction) FILTER (WHERE kind = 'WATCH') AS watched_fraction,
        bool_or(kind = 'NOT_INTERESTED') AS hidden
    FROM feedback
    WHERE user_id = :user_id AND movie_id = ANY(CAST(:movie_ids AS bigint[]))
        AND kind IN ('LIKE', 'DISLIKE', 'NOT_INTERESTED', 'WATCH')
    GROUP BY movie_id
) AS seen ON seen.movie_id = wanted.movie_id
LEFT JOIN ({watchlist_of("AND movie_id = ANY(CAST(:movie_ids AS bigint[]))")}) AS listed
    ON listed.movie_id = wanted.movie_id
"""  # noqa: S608 - constants
STATES_SQL = sql_of(text(STATES))


@dataclass(frozen=True, slots=True)
class MovieState:
    """`watched_fraction`: the largest reported; None if none is. `hidden`: marked NOT_INTERESTED."""

    rating: Rating | None
    on_watchlist: bool
    watched_fraction: float | None
    hidden: bool


async def movie_states(sessions: Sessions, user_id: int, movie_ids: Sequence[int]) -> dict[int, MovieState]:
    """The member's state of each of these movies, by movie id."""
    rows = await sessions.reads.rows(STATES_SQL, {"user_id": user_id, "movie_ids": list(set(movie_ids))})
    return {
        movie_id: MovieState(
            rating=None if half_stars is None else Rating(user_id, movie_id, half_stars, rated_at),
            on_watchlist=on_watchlist,
            watched_fraction=watched_fraction,
            hidden=hidden,
        )
        for movie_id, half_stars, rated_at, watched_fraction, hidden, on_watchlist in rows
    }
