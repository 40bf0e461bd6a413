"""Drift of ratings: those of the last day beside those of the four weeks before it.

The drift of movies' shares is half the sum of the absolute differences between the shares of both times,
over the BINS movies with most ratings before and all others together: 0 for equal shares, 1 for no movie in
common. What random sampling alone explains on average is subtracted, so that few ratings show no drift.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text

from app.db.engine import Sessions

BINS = 100
MOST = 500_000  # ratings of each time, an arbitrary sample of more: it bounds the time

DRIFT = text(
    """
    WITH newest AS (
        (SELECT movie_id, half_stars, implicit, true AS lately FROM ratings
            WHERE rated_at > now() - interval '1 day' LIMIT :most)
        UNION ALL
        (SELECT movie_id, half_stars, implicit, false FROM ratings
            WHERE rated_at > now() - interval '29 days' AND rated_at <= now() - interval '1 day' LIMIT :most)
    ), movies AS (
        SELECT movie_id, count(*) FILTER (WHERE lately) AS after,
            count(*) FILTER (WHERE NOT lately) AS before,
            sum(half_stars) FILTER (WHERE lately AND NOT implicit) AS stars_after,
            sum(half_stars) FILTER (WHERE NOT lately AND NOT implicit) AS stars_before,
            count(*) FILTER (WHERE lately AND NOT implicit) AS given_after,
            count(*) FILTER (WHERE NOT lately AND NOT implicit) AS given_before
        FROM newest GROUP BY movie_id
    ), bins AS (
        SELECT least(place, :bins + 1) AS bin, sum(after)::bigint AS after, sum(before)::bigint AS before
        FROM (SELECT *, row_number() OVER (ORDER BY before DESC, movie_id) AS place FROM movies) AS placed
        GROUP BY 1
    )
    SELECT (SELECT array_agg(after ORDER BY bin) FROM bins) AS after,
        (SELECT array_agg(before ORDER BY bin) FROM bins) AS before,
        (SELECT (sum(stars_after) / nullif(sum(given_after), 0) / 2)::float8 FROM movies) AS stars_after,
        (SELECT (sum(stars_before) / nullif(sum(given_before), 0) / 2)::float8 FROM movies) AS stars_before
    """
)


@dataclass(frozen=True, slots=True)
class Drift:
    """`ratings` of the day and the month before, their mean `stars`, and the drift of movies' shares.

    Stars that members gave, without those inferred from watching. None without ratings.
    """

    ratings: dict[str, int]
    stars: dict[str, float | None]
    shares: float | None


async def drift(sessions: Sessions) -> Drift:
    """The drift as of now, in one statement that reads the ratings of 29 days."""
    async with sessions() as session:
        row = (await session.execute(DRIFT, {"most": MOST, "bins": BINS})).one()
    after, before = (np.array(counts or (), np.int64) for counts in (row.after, row.before))
    return Drift(
        {"day": int(after.sum()), "month": int(before.sum())},
        {"day": row.stars_after, "month": row.stars_before},
        shares_drift(after, before),
    )


def shares_drift(after: NDArray[np.int64], before: NDArray[np.int64]) -> float | None:
    """The drift between two counts by bin, int64 (n,), beyond that of random samples; None without ratings.

    The mean absolute difference of two samples of a share p is sqrt(2 p (1 - p) (1/n + 1/m) / pi).
    """
    n, m = int(after.sum()), int(before.sum())
    if not n or not m:
        return None
    pooled = (after + before) / (n + m)
    expected = np.sqrt(2 / np.pi * pooled * (1 - pooled) * (1 / n + 1 / m)).sum() / 2
    return max(0.0, float(np.abs(after / n - before / m).sum() / 2 - expected))
