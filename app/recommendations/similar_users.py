"""Members of like taste, among those who may be found."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text

from app.activity import ratings
from app.db.engine import Sessions
from app.serving.snapshot import Snapshot

# What one look costs at most, however many ratings there are: RATERS rows to find candidates in, and for each
# of CANDIDATES at most COMPARED movies to compare.
RATERS = 10_000
CANDIDATES = 200
COMPARED = 500
LEAST_COMMON = 3
SHRINKAGE = 10.0

SIMILAR = text(
    """
    WITH candidates AS (
        SELECT rater.user_id
        FROM unnest(CAST(:probes AS bigint[])) AS probe (movie_id) CROSS JOIN LATERAL (
            SELECT user_id FROM ratings WHERE ratings.movie_id = probe.movie_id LIMIT :raters
        ) AS rater JOIN users ON users.id = rater.user_id
        WHERE discoverable AND rater.user_id <> :user_id
        GROUP BY rater.user_id ORDER BY count(*) DESC, rater.user_id DESC LIMIT :candidates
    )
    SELECT users.id, username, created_at, simulated, common,
        pearson * common / (common + CAST(:shrinkage AS float8)) AS similarity
    FROM candidates JOIN users ON users.id = candidates.user_id CROSS JOIN LATERAL (
        SELECT count(*) AS common, corr(mine.half_stars, theirs.half_stars) AS pearson
        FROM unnest(CAST(:movie_ids AS bigint[]), CAST(:half_stars AS smallint[]))
            AS mine (movie_id, half_stars)
        JOIN ratings AS theirs ON theirs.user_id = candidates.user_id AND theirs.movie_id = mine.movie_id
    ) AS agreement
    WHERE common >= :least_common AND pearson > 0
    ORDER BY similarity DESC, users.id LIMIT :k
    """
)


@dataclass(frozen=True, slots=True)
class Neighbor:
    user_id: int
    username: str
    created_at: datetime
    simulated: bool
    common_movies: int
    similarity: float


async def similar(sessions: Sessions, snapshot: Snapshot, user_id: int, k: int) -> list[Neighbor]:
    """The at most `k` members whose ratings agree best with a member's, of those who may be found.

    Pearson's correlation over the n common movies, times n / (n + SHRINKAGE), since few movies in common
    agree by chance (significance weighting: Herlocker et al., "An Algorithmic Framework for Performing
    Collaborative Filtering", SIGIR 1999; the weight has Bell and Koren's form). Candidates are those who
    share most of the member's least rated movies, which tell people apart best and have the fewest raters; of
    the member's movies the COMPARED that were rated last count. So the work does not grow with the ratings.
    """
    async with sessions() as session:
        movie_ids, half_stars, rated_at = await ratings.history(session, user_id)
        lately = np.argsort(-rated_at, kind="stable")[:COMPARED]
        parameters = {
            "user_id": user_id,
            "probes": probes(snapshot, movie_ids).tolist(),
            "movie_ids": movie_ids[lately].tolist(),
            "half_stars": half_stars[lately].tolist(),
            "raters": RATERS,
            "candidates": CANDIDATES,
            "least_common": LEAST_COMMON,
            "shrinkage": SHRINKAGE,
            "k": k,
        }
        rows = await session.execute(SIMILAR, parameters)
        return [Neighbor(*row) for row in rows]


def probes(snapshot: Snapshot, movie_ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """The least rated of these movies, at least one, with no more than RATERS ratings in all."""
    where = snapshot.positions(movie_ids)
    counts = np.where(where >= 0, snapshot.rating_count[where], 0)
    rarest = np.argsort(counts, kind="stable")
    many = int((counts[rarest].cumsum() <= RATERS).sum())
    return movie_ids[rarest[: max(many, 1)]]
