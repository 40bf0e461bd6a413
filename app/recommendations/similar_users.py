"""Similar users: discoverable members whose ratings correlate with a member's."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text

from app.activity import ratings
from app.db.engine import Sessions
from app.serving.snapshot import Snapshot

# Bounds of the work, independent of the number of ratings: candidates are found in RATERS rows, and each of
# CANDIDATES is compared over at most COMPARED movies.
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
        SELECT count(*) AS common, corr(own.half_stars, ratings.half_stars) AS pearson
        FROM unnest(CAST(:movie_ids AS bigint[]), CAST(:half_stars AS smallint[]))
            AS own (movie_id, half_stars)
        JOIN ratings ON ratings.user_id = candidates.user_id AND ratings.movie_id = own.movie_id
    ) AS agreement
    WHERE common >= :least_common AND pearson > 0
    ORDER BY similarity DESC, users.id LIMIT :k
    """
)


@dataclass(frozen=True, slots=True)
class SimilarUser:
    user_id: int
    username: str
    created_at: datetime
    simulated: bool
    common_movies: int
    similarity: float


async def similar(sessions: Sessions, snapshot: Snapshot, user_id: int, k: int) -> list[SimilarUser]:
    """Find the at most `k` discoverable members whose ratings are most similar to a member's.

    The similarity is Pearson's correlation over the n common movies, times n / (n + SHRINKAGE), because few
    common movies can agree accidentally (significance weighting: Herlocker et al., "An Algorithmic Framework
    for Performing Collaborative Filtering", SIGIR 1999; the weight has Bell and Koren's form). Candidates are
    the members who share most of the member's least rated movies, which discriminate best and have the
    fewest raters. Only the COMPARED movies that the member rated last are compared, so the work does not
    grow with the number of ratings.
    """
    movie_ids, half_stars, rated_at = await ratings.history(sessions, user_id)
    async with sessions() as session:
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
        return [SimilarUser(*row) for row in rows]


def probes(snapshot: Snapshot, movie_ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """The least rated of these movies, at least one, with at most RATERS ratings together."""
    where = snapshot.positions(movie_ids)
    counts = np.where(where >= 0, snapshot.rating_count[where], 0)
    rarest = np.argsort(counts, kind="stable")
    many = int((counts[rarest].cumsum() <= RATERS).sum())
    return movie_ids[rarest[: max(many, 1)]]
