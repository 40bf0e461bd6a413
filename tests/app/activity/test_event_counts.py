"""Totals of events stay exact and are read without reading events."""

import asyncio
import random

import pytest
from sqlalchemy import text

from app.activity import feedback, history
from app.activity.feedback import Event, Kind
from app.activity.history import Wanted
from app.db.engine import Sessions

pytestmark = pytest.mark.anyio

MEMBERS, MOVIES = 4, 12
MADE_UP = (
    "INSERT INTO users (id, username) SELECT n, 'm' || n FROM generate_series(1, 4) AS n",
    "INSERT INTO movies (id, title) SELECT n, 'f' || n FROM generate_series(1, 12) AS n",
)
RATINGS = (
    "INSERT INTO movies (id, title) SELECT n, 'x' FROM generate_series(100, 20000) AS n",
    "INSERT INTO ratings SELECT 1, id, 5, now() - id * interval '1 minute' FROM movies",
    "ANALYZE ratings",
)
COUNTED = "SELECT user_id, kind, count(*)::bigint FROM feedback GROUP BY 1, 2 ORDER BY 1, 2"
KEPT = "SELECT user_id, kind, events FROM event_counts WHERE events <> 0 ORDER BY 1, 2"


@pytest.fixture
async def filled(sessions: Sessions) -> Sessions:
    async with sessions.begin() as session:
        for statement in MADE_UP:
            await session.execute(text(statement))
    return sessions


async def rows(sessions: Sessions, statement: str) -> list[tuple[object, ...]]:
    async with sessions() as session:
        return [tuple(row) for row in await session.execute(text(statement))]


async def test_totals_stay_exact(filled: Sessions) -> None:
    rng = random.Random(5)  # noqa: S311 - not for secrets

    async def member(user_id: int) -> None:
        for _ in range(15):
            events = [
                Event(rng.randint(1, MOVIES), rng.choice(list(Kind)), idempotency_key=str(rng.randint(0, 40)))
                for _ in range(rng.randint(1, 20))
            ]
            await feedback.record(filled, user_id, events)
            await feedback.remove(filled, user_id, rng.randint(1, MOVIES), rng.sample(list(Kind), 2))

    await asyncio.gather(*map(member, range(1, MEMBERS + 1)))
    counted = await rows(filled, COUNTED)
    assert counted
    assert await rows(filled, KEPT) == counted
    async with filled.begin() as session:
        await session.execute(text("DELETE FROM movies WHERE id < 4"))
        await session.execute(text("DELETE FROM users WHERE id = 2"))
    counted = await rows(filled, COUNTED)
    assert await rows(filled, KEPT) == counted
    for user_id in range(1, MEMBERS + 1):
        counts = {kind: count for owner, kind, count in counted if owner == user_id}
        assert await history.count_events(filled, user_id) == sum(counts.values())  # type: ignore[arg-type]
        assert await history.count_events(filled, user_id, Wanted([Kind.LIKE])) == counts.get("LIKE", 0)


async def test_a_total_reads_one_row_for_each_kind(filled: Sessions) -> None:
    async with filled.begin() as session:
        await session.execute(
            text(
                "INSERT INTO feedback (user_id, movie_id, kind, occurred_at) "
                "SELECT 1, 1 + n % 12, 'CLICK', now() FROM generate_series(1, 20000) AS n"
            )
        )
    assert await history.count_events(filled, 1) == 20_000
    assert len(await rows(filled, "SELECT 1 FROM event_counts")) == 1


async def test_pages_of_a_history_are_read_from_its_index(filled: Sessions) -> None:
    async with filled.begin() as session:
        for statement in RATINGS:
            await session.execute(text(statement))
    page = "SELECT * FROM ratings WHERE user_id = 1 ORDER BY rated_at DESC, movie_id DESC LIMIT 10"
    since = (
        "SELECT movie_id FROM ratings WHERE user_id = ANY('{1}') AND rated_at > now() - interval '3 hours'"
    )
    for statement in (page, since):
        plan = "\n".join(str(line) for (line,) in await rows(filled, f"EXPLAIN (COSTS OFF) {statement}"))
        assert "ratings_history_idx" in plan, plan
        assert "Sort" not in plan
