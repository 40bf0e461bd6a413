"""Similar users equal a brute-force count, at a cost that does not grow with the ratings."""

from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import insert, update

from app.db import activity_tables, tables
from app.db.engine import Sessions
from app.recommendations import similar_users
from app.serving import snapshot

pytestmark = pytest.mark.anyio

N_MEMBERS, N_MOVIES = 60, 40


@pytest.fixture
async def stars(sessions: Sessions) -> NDArray[np.int64]:
    """Half-stars (N_MEMBERS, N_MOVIES), 0 where not rated; tastes vary along one dimension."""
    rng = np.random.default_rng(5)
    leaning = np.outer(rng.normal(size=N_MEMBERS), rng.normal(size=N_MOVIES))
    given = np.clip(np.round(6 + 1.5 * leaning + rng.normal(size=leaning.shape)), 1, 10).astype(np.int64)
    given[rng.random(given.shape) < rng.random(N_MOVIES) * 0.8] = 0  # movies have few or many raters
    given[0, :12] = np.arange(12) % 9 + 1  # the requesting member has rated some of them
    now = datetime.now(UTC)
    async with sessions.begin() as session:
        members = [{"id": n + 1, "username": f"member {n}", "discoverable": True} for n in range(N_MEMBERS)]
        await session.execute(insert(tables.User), members)
        movies = [{"id": n + 1, "title": f"Movie {n}"} for n in range(N_MOVIES)]
        await session.execute(insert(tables.Movie), movies)
        rows = [
            {"user_id": int(u) + 1, "movie_id": int(i) + 1, "half_stars": int(given[u, i]), "rated_at": now}
            for u, i in np.argwhere(given)
        ]
        await session.execute(insert(activity_tables.Rating), rows)
    return given


def by_hand(given: NDArray[np.int64], hidden: frozenset[int] = frozenset()) -> list[tuple[int, int, float]]:
    found = []
    for other in range(1, N_MEMBERS):
        common = (given[0] > 0) & (given[other] > 0)
        mine, theirs = given[0, common], given[other, common]
        if other in hidden or common.sum() < 3 or not (mine.std() and theirs.std()):
            continue
        pearson = float(np.corrcoef(mine, theirs)[0, 1])
        n = int(common.sum())
        if pearson > 0:
            found.append((other + 1, n, pearson * n / (n + 10)))
    return sorted(found, key=lambda each: (-each[2], each[0]))


async def test_similar_users_equal_a_brute_force_count(sessions: Sessions, stars: NDArray[np.int64]) -> None:
    movies = await snapshot.load(sessions)
    found = await similar_users.similar(sessions, movies, 1, 100)
    expected = by_hand(stars)
    assert len(expected) > 10
    assert [(each.user_id, each.common_movies) for each in found] == [each[:2] for each in expected]
    assert [each.similarity for each in found] == pytest.approx([each[2] for each in expected])
    assert len(await similar_users.similar(sessions, movies, 1, 3)) == 3


async def test_undiscoverable_members_are_not_shown(sessions: Sessions, stars: NDArray[np.int64]) -> None:
    movies = await snapshot.load(sessions)
    nearest = (await similar_users.similar(sessions, movies, 1, 1))[0].user_id
    async with sessions.begin() as session:
        await session.execute(update(tables.User).where(tables.User.id == nearest).values(discoverable=False))
    found = await similar_users.similar(sessions, movies, 1, 100)
    hidden = frozenset({nearest - 1})
    assert [each.user_id for each in found] == [each[0] for each in by_hand(stars, hidden)]


async def test_a_new_member_has_no_similar_users(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        new = insert(tables.User).values(username="new").returning(tables.User.id)
        user_id = (await session.scalars(new)).one()
    assert await similar_users.similar(sessions, await snapshot.load(sessions), user_id, 10) == []


async def test_the_least_rated_movies_are_read_up_to_a_budget(
    sessions: Sessions,
    stars: NDArray[np.int64],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert (stars[0] > 0).sum() >= 12
    movies = await snapshot.load(sessions)
    known = np.arange(1, 13)
    in_order = known[np.argsort(movies.rating_count[:12], kind="stable")].tolist()
    assert similar_users.probes(movies, known).tolist() == in_order
    budget = int(np.sort(movies.rating_count[:12])[:5].sum())
    monkeypatch.setattr(similar_users, "RATERS", budget)
    assert similar_users.probes(movies, known).tolist() == in_order[:5]
    monkeypatch.setattr(similar_users, "RATERS", 1)
    assert similar_users.probes(movies, known).tolist() == in_order[:1]
    # At most the budget is read of it.
    monkeypatch.setattr(similar_users, "RATERS", 7)
    assert len(await similar_users.similar(sessions, movies, 1, 100)) <= 7
