"""Quality of the lists that members saw lately, from their events.

A list was shown if clients reported IMPRESSION events with its `requestId`. CLICK and WATCH events count for
the list that they name. Movies that operators promoted in a list do not count: the model did not choose them.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from sqlalchemy import text

from app.db.engine import Sessions
from app.serving.snapshot import Snapshot

POPULAR_SHARE = 0.1  # of the movies, by the number of ratings, counts as popular

SAMPLED_LISTS = 1_000  # for the diversity: an arbitrary sample, which bounds the time

# The diversity of a list is one minus the mean cosine similarity of its pairs of movies, whose vectors are
# their genres. The sum over all pairs follows from the square of the sum of the vectors.
QUALITY = text(
    """
    WITH promoted AS MATERIALIZED (
        SELECT request_id, unnest(promoted) AS movie_id FROM served_lists
        WHERE promoted IS NOT NULL AND served_at >= now() - CAST(:window AS interval) - interval '1 day'
    ), lists AS (
        SELECT row_number() OVER () AS list, clicked, watched, movie_ids FROM (
            SELECT bool_or(kind = 'CLICK')::integer AS clicked, bool_or(kind = 'WATCH')::integer AS watched,
                array_agg(movie_id) FILTER (WHERE kind = 'IMPRESSION') AS movie_ids
            FROM feedback
            WHERE received_at > now() - CAST(:window AS interval) AND request_id IS NOT NULL
                AND kind IN ('IMPRESSION', 'CLICK', 'WATCH')
                AND NOT EXISTS (SELECT FROM promoted
                    WHERE promoted.request_id = feedback.request_id
                        AND promoted.movie_id = feedback.movie_id)
            GROUP BY user_id, request_id
        ) AS seen
        WHERE movie_ids IS NOT NULL
    ), shown AS (
        SELECT movie_id, count(*) AS times
        FROM lists CROSS JOIN unnest(movie_ids) AS movie_id GROUP BY movie_id
    ), sampled AS (
        SELECT DISTINCT list, movie_id FROM lists CROSS JOIN unnest(movie_ids) AS movie_id
        WHERE list <= :sampled
    ), vectors AS (
        SELECT movie_id, genre_id, 1 / sqrt(count(*) OVER (PARTITION BY movie_id)) AS weight
        FROM movie_genres WHERE movie_id IN (SELECT movie_id FROM sampled)
    ), sums AS (
        SELECT list, sum(weight) AS weight, sum(weight * weight) AS movies
        FROM sampled JOIN vectors USING (movie_id) GROUP BY list, genre_id
    ), similar_pairs AS (
        SELECT (sum(weight * weight) - sum(movies)) / (sum(movies) * (sum(movies) - 1)) AS mean
        FROM sums GROUP BY list HAVING sum(movies) > 1.5
    )
    SELECT of_lists.*, of_movies.*, (SELECT 1 - avg(mean)::float8 FROM similar_pairs) AS diversity
    FROM (
        SELECT count(*) AS lists, avg(clicked)::float8 AS click_rate, avg(watched)::float8 AS watch_rate
        FROM lists
    ) AS of_lists, (
        SELECT count(*) AS movies,
            (coalesce(sum(times) FILTER (WHERE rating_count >= :popular), 0)
                / sum(times))::float8 AS popular_share
        FROM shown LEFT JOIN movie_stats USING (movie_id)
    ) AS of_movies
    """
)


@dataclass(frozen=True, slots=True)
class OnlineQuality:
    """`lists` shown, and shares from 0 to 1, which are None without lists.

    `click_rate`, `watch_rate`: of the lists, with at least one such event. `coverage`: of the catalog, in any
    list. `popular_share`: of the movies in the lists, the tenth of the catalog with most ratings.
    `diversity`: mean over SAMPLED_LISTS of two movies or more; 0 where all have the same genres.
    """

    lists: int
    click_rate: float | None
    watch_rate: float | None
    coverage: float | None
    popular_share: float | None
    diversity: float | None


async def online_quality(sessions: Sessions, snapshot: Snapshot, window: timedelta) -> OnlineQuality:
    """The quality of the lists shown within `window`. Reads only the events received in it."""
    popular = await asyncio.to_thread(popular_from, snapshot)
    params = {"window": window, "popular": popular, "sampled": SAMPLED_LISTS}
    async with sessions() as session:
        row = (await session.execute(QUALITY, params)).one()
    coverage = row.movies / snapshot.movie_ids.size if row.lists and snapshot.movie_ids.size else None
    return OnlineQuality(
        row.lists, row.click_rate, row.watch_rate, coverage, row.popular_share, row.diversity
    )


def popular_from(snapshot: Snapshot) -> int:
    """The number of ratings from which a movie counts as popular."""
    counts = snapshot.rating_count
    if not counts.size:
        return 1
    rank = int(counts.size * (1 - POPULAR_SHARE))
    return max(1, int(np.partition(counts, rank)[rank]))
