"""Quality of the lists that members saw lately, from their events.

A list was shown if clients reported IMPRESSION events with its `requestId`. CLICK and WATCH events count for
the list that they name.
"""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from sqlalchemy import text

from app.db.engine import Sessions
from app.serving.snapshot import Snapshot

POPULAR_SHARE = 0.1  # of the movies, by the number of ratings, counts as popular

# The diversity of a list is one minus the mean cosine similarity of its pairs of movies, whose vectors are
# their genres. The sum over all pairs follows from the square of the sum of the vectors, so that it is linear
# in the events.
QUALITY = text(
    """
    WITH seen AS (
        SELECT user_id, request_id, movie_id, bool_or(kind = 'IMPRESSION') AS shown,
            bool_or(kind = 'CLICK') AS clicked, bool_or(kind = 'WATCH') AS watched
        FROM feedback
        WHERE received_at > now() - CAST(:window AS interval) AND request_id IS NOT NULL
            AND kind IN ('IMPRESSION', 'CLICK', 'WATCH')
        GROUP BY user_id, request_id, movie_id
    ), lists AS (
        SELECT bool_or(clicked)::integer AS clicked, bool_or(watched)::integer AS watched
        FROM seen GROUP BY user_id, request_id HAVING bool_or(shown)
    ), shown AS (
        SELECT user_id, request_id, movie_id FROM seen WHERE shown
    ), vectors AS (
        SELECT movie_id, genre_id, 1 / sqrt(count(*) OVER (PARTITION BY movie_id)) AS weight
        FROM movie_genres WHERE movie_id IN (SELECT movie_id FROM shown)
    ), sums AS (
        SELECT user_id, request_id, sum(weight) AS weight, sum(weight * weight) AS movies
        FROM shown JOIN vectors USING (movie_id) GROUP BY user_id, request_id, genre_id
    ), similar_pairs AS (
        SELECT (sum(weight * weight) - sum(movies)) / (sum(movies) * (sum(movies) - 1)) AS mean
        FROM sums GROUP BY user_id, request_id HAVING sum(movies) > 1.5
    )
    SELECT
        (SELECT count(*) FROM lists) AS lists,
        (SELECT avg(clicked)::float8 FROM lists) AS click_rate,
        (SELECT avg(watched)::float8 FROM lists) AS watch_rate,
        (SELECT count(DISTINCT movie_id) FROM shown) AS movies,
        (SELECT avg((rating_count >= :popular)::integer)::float8
            FROM shown JOIN movie_stats USING (movie_id)) AS popular_share,
        (SELECT 1 - avg(mean)::float8 FROM similar_pairs) AS diversity
    """
)


@dataclass(frozen=True, slots=True)
class OnlineQuality:
    """`lists` shown, and shares from 0 to 1, which are None without lists.

    `click_rate`, `watch_rate`: of the lists, with at least one such event. `coverage`: of the catalog, in any
    list. `popular_share`: of the movies in the lists, the tenth of the catalog with most ratings.
    `diversity`: mean over lists of two movies or more; 0 where all have the same genres.
    """

    lists: int
    click_rate: float | None
    watch_rate: float | None
    coverage: float | None
    popular_share: float | None
    diversity: float | None


async def online_quality(sessions: Sessions, snapshot: Snapshot, window: timedelta) -> OnlineQuality:
    """The quality of the lists shown within `window`. Reads only the events received in it."""
    params = {"window": window, "popular": popular_from(snapshot)}
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
