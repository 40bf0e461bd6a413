"""The reactions of members to the lists of an experiment, as arrays.

A list counts once it is shown: a client reported an IMPRESSION with its `requestId`. Times are those of
receipt, since clocks of clients differ. Movies whose place a promotion decided do not count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.experiments.assignment import Experiment

BEFORE = timedelta(days=28)  # the time for which members' earlier lists are read

# The lists of an experiment; `label` is the place of the arm.
SERVED = """
    SELECT DISTINCT request_id, user_id, array_position(CAST(:labels AS text[]), label) - 1 AS arm
    FROM served_lists CROSS JOIN LATERAL unnest(string_to_array(served_lists.arm, ' ')) AS label
    WHERE served_at >= :since AND served_at < :until AND user_id IS NOT NULL
        AND label = ANY(CAST(:labels AS text[]))
"""
# All lists of some members, before the experiment. They have no arm yet.
EARLIER = """
    SELECT DISTINCT request_id, user_id, 0 AS arm FROM feedback
    WHERE user_id = ANY(CAST(:users AS bigint[])) AND request_id IS NOT NULL AND kind = 'IMPRESSION'
        AND received_at >= :since AND received_at < :until
"""
# The lists of all members, for planning.
ALL = """
    SELECT DISTINCT request_id, user_id, 0 AS arm FROM feedback
    WHERE request_id IS NOT NULL AND kind = 'IMPRESSION' AND received_at >= :since AND received_at < :until
"""
# Places that promotions decided: what members do there says nothing on an arm.
PROMOTED = """
    SELECT request_id, unnest(promoted) AS movie_id FROM served_lists
    WHERE promoted IS NOT NULL AND served_at >= CAST(:since AS timestamptz) - interval '1 day'
        AND served_at < CAST(:until AS timestamptz) + CAST(:after AS interval)
"""
NOT_PROMOTED = """NOT EXISTS (SELECT FROM promoted
                WHERE promoted.request_id = feedback.request_id AND promoted.movie_id = feedback.movie_id)"""
# The diversity of a list is computed as in `app.recommendations.online_quality`.
OUTCOMES = """
    WITH lists AS MATERIALIZED ({lists}), promoted AS MATERIALIZED ({promoted}), events AS MATERIALIZED (
        SELECT request_id, user_id, arm, movie_id, kind, received_at, watched_fraction
        FROM lists JOIN feedback USING (request_id, user_id)
        WHERE kind IN ('IMPRESSION', 'CLICK', 'WATCH') AND received_at >= :since
            AND received_at < CAST(:until AS timestamptz) + CAST(:after AS interval)
            AND {not_promoted}
    ), shown AS (
        SELECT request_id, user_id, arm, count(*) FILTER (WHERE kind = 'IMPRESSION') AS impressions,
            min(received_at) FILTER (WHERE kind = 'IMPRESSION') AS shown_at,
            min(received_at) FILTER (WHERE kind = 'CLICK') AS clicked_at,
            min(received_at) FILTER (WHERE kind = 'WATCH') AS watched_at,
            max(watched_fraction) FILTER (WHERE kind = 'WATCH') AS completion
        FROM events GROUP BY request_id, user_id, arm HAVING bool_or(kind = 'IMPRESSION')
    ), vectors AS (
        SELECT movie_id, genre_id, 1 / sqrt(count(*) OVER (PARTITION BY movie_id)) AS weight
        FROM movie_genres WHERE movie_id IN (SELECT movie_id FROM events)
    ), sums AS (
        SELECT request_id, sum(weight) AS weight, sum(weight * weight) AS movies
        FROM (SELECT DISTINCT request_id, movie_id FROM events WHERE kind = 'IMPRESSION') AS seen
        JOIN vectors USING (movie_id) GROUP BY request_id, genre_id
    ), diversities AS (
        SELECT request_id,
            1 - (sum(weight * weight) - sum(movies)) / (sum(movies) * (sum(movies) - 1)) AS diversity
        FROM sums GROUP BY request_id HAVING sum(movies) > 1.5
    )
    SELECT user_id, arm, impressions, extract(epoch FROM shown_at)::float8 AS shown_at,
        extract(epoch FROM clicked_at)::float8 AS clicked_at,
        extract(epoch FROM watched_at)::float8 AS watched_at,
        completion::float8 AS completion, diversity::float8 AS diversity
    FROM shown LEFT JOIN diversities USING (request_id) ORDER BY user_id, shown_at, request_id
"""
# A rating counts for the arm whose list last showed the movie before it. One that the member changed counts
# if they gave it first after the list: a shelf may show movies that they rated long ago.
RATED = """
    WITH lists AS MATERIALIZED ({lists}), promoted AS MATERIALIZED ({promoted})
    SELECT DISTINCT ON (user_id, movie_id) user_id, arm, extract(epoch FROM rated_at)::float8 AS rated_at,
        half_stars / 2.0::float8 AS stars
    FROM lists JOIN feedback USING (request_id, user_id) JOIN ratings USING (user_id, movie_id)
    WHERE kind = 'IMPRESSION' AND NOT implicit AND coalesce(first_rated_at, rated_at) >= received_at
        AND received_at >= :since
        AND rated_at < CAST(:until AS timestamptz) + CAST(:after AS interval)
        AND {not_promoted}
    ORDER BY user_id, movie_id, received_at DESC
"""
AFTER = timedelta(days=1)  # for which outcomes of the last lists still count
NO_TIMEOUT = text("SET LOCAL statement_timeout = 0")


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Lists, sorted by member and time, and ratings. `arm`: index of the arm.

    Of n lists: `user` int64, `arm` int64, `impressions` int64 movies shown, `shown_at`, `clicked_at` and
    `watched_at` float64 seconds since 1970 (nan: never), `completion` and `diversity` float64 from 0 to 1
    (nan: unknown). Of m ratings: `rated_user`, `rated_arm` int64, `rated_at` and `stars` float64.
    """

    user: NDArray[np.int64]
    arm: NDArray[np.int64]
    impressions: NDArray[np.int64]
    shown_at: NDArray[np.float64]
    clicked_at: NDArray[np.float64]
    watched_at: NDArray[np.float64]
    completion: NDArray[np.float64]
    diversity: NDArray[np.float64]
    rated_user: NDArray[np.int64]
    rated_arm: NDArray[np.int64]
    rated_at: NDArray[np.float64]
    stars: NDArray[np.float64]


WHOLE = ("user_id", "arm", "impressions")
LIST_COLUMNS = (*WHOLE, "shown_at", "clicked_at", "watched_at", "completion", "diversity")
RATING_COLUMNS = ("user_id", "arm", "rated_at", "stars")


async def of_experiment(session: AsyncSession, experiment: Experiment, until: datetime) -> Outcomes:
    """The outcomes of the lists served by `until`, and within AFTER of it."""
    labels = [f"{experiment.name}/{arm.name}" for arm in experiment.arms]
    return await _read(session, SERVED, experiment.starts_at, until, labels=labels)


async def earlier(session: AsyncSession, users: Sequence[int], until: datetime) -> Outcomes:
    """The outcomes of all lists of these members in the time BEFORE `until`; the arm of each is 0."""
    return await _read(session, EARLIER, until - BEFORE, until, timedelta(0), users=list(users))


async def of_all(session: AsyncSession, since: datetime, until: datetime) -> Outcomes:
    """The outcomes of all lists shown in this time; the arm of each is 0."""
    return await _read(session, ALL, since, until, timedelta(0))


async def _read(
    session: AsyncSession,
    lists: str,
    since: datetime,
    until: datetime,
    after: timedelta = AFTER,
    **given: Any,
) -> Outcomes:
    params = {"since": since, "until": until, "after": after, **given}
    parts = {"lists": lists, "promoted": PROMOTED, "not_promoted": NOT_PROMOTED}
    rows = (await session.execute(text(OUTCOMES.format(**parts)), params)).all()
    ratings = (await session.execute(text(RATED.format(**parts)), params)).all()
    return Outcomes(*_columns(rows, LIST_COLUMNS), *_columns(ratings, RATING_COLUMNS))


def _columns(rows: Sequence[Any], names: Sequence[str]) -> list[NDArray[Any]]:
    return [
        np.array([getattr(row, name) for row in rows], np.int64 if name in WHOLE else np.float64)
        for name in names
    ]
