"""The number of members, and of ratings on each of the last days."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import text

from app.db.engine import Sessions

DAYS = 14
MOST = 200_000  # rows of each that are counted: it bounds the time

LATELY = text(
    """
    WITH days AS (
        SELECT (now() AT TIME ZONE 'UTC')::date - ago AS day FROM generate_series(0, :days - 1) AS ago
    ), newest AS (
        SELECT (rated_at AT TIME ZONE 'UTC')::date AS day FROM ratings
        WHERE rated_at >= ((now() AT TIME ZONE 'UTC')::date - (:days - 1))::timestamp AT TIME ZONE 'UTC'
        ORDER BY rated_at DESC LIMIT :most
    ), counted AS (SELECT day, count(*) AS ratings FROM newest GROUP BY day)
    SELECT (SELECT count(*) FROM (SELECT 1 FROM users LIMIT :most) AS found),
        array_agg(day ORDER BY day), array_agg(coalesce(ratings, 0) ORDER BY day)
    FROM days LEFT JOIN counted USING (day)
    """
)


@dataclass(frozen=True, slots=True)
class Lately:
    """`ratings`: by day, in UTC, oldest first."""

    members: int
    ratings: list[tuple[date, int]]


async def lately(sessions: Sessions) -> Lately:
    """Count at most MOST members, and of the ratings of the last DAYS the MOST newest."""
    async with sessions() as session:
        members, days, counts = (await session.execute(LATELY, {"days": DAYS, "most": MOST})).one()
    return Lately(members, list(zip(days, counts, strict=True)))
