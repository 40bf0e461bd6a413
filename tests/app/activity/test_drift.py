"""Drift of ratings: none beyond chance for samples of one distribution, and a known one for others."""

import numpy as np
import pytest
from sqlalchemy import text

from app.activity.drift import BINS, Drift, drift, shares_drift
from app.db.engine import Sessions

pytestmark = pytest.mark.anyio

MEMBERS = "INSERT INTO users (username) SELECT 'member ' || n FROM generate_series(1, 40) AS n"
RATE = """
INSERT INTO ratings (user_id, movie_id, half_stars, rated_at, implicit)
SELECT id, :movie, :half_stars, now() - CAST(:age AS interval), :implicit
FROM users ORDER BY id LIMIT :members
"""


async def test_stars_and_shares_of_the_day_and_the_month(catalogue: Sessions) -> None:
    assert await drift(catalogue) == Drift({"day": 0, "month": 0}, {"day": None, "month": None}, None)
    async with catalogue.begin() as session:
        await session.execute(text(MEMBERS))
        for movie, half_stars, age, members, implicit in (
            (1, 8, "3 days", 40, False),
            (2, 8, "28 days", 40, False),
            (3, 4, "1 hour", 40, False),
            (4, 10, "1 hour", 40, True),  # counts as a rating, but not for the stars
            (5, 10, "40 days", 40, False),  # too old
        ):
            given = {"movie": movie, "half_stars": half_stars, "age": age, "members": members}
            await session.execute(text(RATE), given | {"implicit": implicit})
    found = await drift(catalogue)
    assert found.ratings == {"day": 80, "month": 80}
    assert found.stars == {"day": 2.0, "month": 4.0}
    assert found.shares is not None
    assert 0.8 < found.shares <= 1  # no movie in common, less what chance explains


async def test_all_movies_beyond_the_bins_count_together(catalogue: Sessions) -> None:
    async with catalogue.begin() as session:
        await session.execute(text(MEMBERS))
        for movie in range(1, 2 * BINS + 1):
            age = "3 days" if movie <= BINS else "1 hour" if movie % 2 else "2 days"
            given = {"movie": movie, "half_stars": 6, "age": age, "implicit": False}
            await session.execute(text(RATE), given | {"members": 2 if movie <= BINS else 1})
    found = await drift(catalogue)
    assert found.ratings == {"day": BINS // 2, "month": 2 * BINS + BINS // 2}


def test_samples_of_one_distribution_show_no_drift() -> None:
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.full(BINS, 0.5))
    pairs = [(rng.multinomial(800, shares), rng.multinomial(20_000, shares)) for _ in range(200)]
    found = np.array([shares_drift(*pair) for pair in pairs], np.float64)
    assert found.mean() < 0.02
    assert found.max() < 0.06


def test_a_known_drift_is_found() -> None:
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.full(BINS, 2.0))
    moved = 0.6 * shares + 0.4 * np.eye(BINS)[3]  # four of ten ratings are of one movie
    truth = np.abs(moved - shares).sum() / 2
    pairs = [(rng.multinomial(5_000, moved), rng.multinomial(50_000, shares)) for _ in range(50)]
    found = np.array([shares_drift(*pair) for pair in pairs], np.float64)
    assert truth - 0.08 < found.mean() <= truth + 0.01  # a real drift is understated by what chance explains
