"""Models follow the ratings of their movies between trainings, with bounded reads."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError

from app.db.engine import Sessions
from app.serving import rating_updates
from app.serving.model import Ratings
from app.serving.rating_updates import RatingUpdates
from recommender.interactions import positions
from recommender.model.popularity import HALF_STARS, RatingCounts
from tests.statements import noted_statements

pytestmark = pytest.mark.anyio

N_MOVIES = 40
SET_UP = (
    "INSERT INTO movies (id, title) SELECT n, n FROM generate_series(1, 40) AS n",
    "INSERT INTO users (id, username, simulated) SELECT n, 'u' || n, n > 6 FROM generate_series(1, 9) AS n",
    "INSERT INTO model_versions (version, status, dataset_version, metrics) VALUES ('1', 'ACTIVE', '', '{}')",
)
RATE = text(
    "INSERT INTO ratings (user_id, movie_id, half_stars) SELECT n, :movie, n FROM generate_series(1, 9) AS n"
)
REAL = text(
    "INSERT INTO dataset_versions (version, simulated, movie_count, member_count, rating_count) "
    "VALUES ('real', false, 1, 1, 1)"
)


@dataclass
class Model:
    """A served model that remembers the ratings that it was given."""

    version: str = "1"
    given: list[Ratings] = field(default_factory=list)
    snapshot_idx: NDArray[np.int32] = field(default_factory=lambda: np.arange(N_MOVIES, dtype=np.int32))
    hybrid: Any = field(
        default_factory=lambda: SimpleNamespace(
            item_ids=np.arange(1, N_MOVIES + 1),
            ratings=RatingCounts(np.zeros((N_MOVIES, HALF_STARS), np.int32), 0.0, 1.0),
        )
    )

    def item_idx(self, movie_ids: Any) -> NDArray[np.int32]:
        return positions(self.hybrid.item_ids, np.asarray(movie_ids, np.int64))

    def with_ratings(self, ratings: Ratings) -> "Model":
        self.given.append(ratings)
        return self


@pytest.fixture
async def database(sessions: Sessions) -> Sessions:
    async with sessions.begin() as session:
        for statement in SET_UP:
            await session.execute(text(statement))
    return sessions


async def rate(sessions: Sessions, *movies: int) -> None:
    async with sessions.begin() as session:
        for movie in movies:
            await session.execute(RATE, {"movie": movie})


async def snapshot_of(sessions: Sessions) -> Any:
    counts, sums = np.zeros((2, N_MOVIES), np.int64)
    async with sessions() as session:
        found = text("SELECT movie_id, rating_count, half_stars_sum FROM movie_stats")
        for movie_id, count, total in await session.execute(found):
            counts[movie_id - 1], sums[movie_id - 1] = count, total
    return SimpleNamespace(rating_count=counts, half_stars_sum=sums)


async def test_only_movies_with_new_ratings_are_read(database: Sessions) -> None:
    model: Any = Model()
    updates = RatingUpdates()
    await updates.follow(database, model, await snapshot_of(database))
    assert not updates.unserved
    await rate(database, 3, 7)
    rated = await snapshot_of(database)
    sent = noted_statements(database)
    await updates.follow(database, model, rated)
    assert len([each for each in sent if "FROM ratings" in each]) == 1
    sent.clear()
    await updates.follow(database, model, rated)
    assert sent == []
    assert updates.unserved
    updates.applied(model)
    ((movie_ids, rows),) = model.given
    assert sorted(movie_ids.tolist()) == [3, 7]
    assert rows.tolist() == [[1] * 9 + [0]] * 2
    assert not updates.unserved


async def test_a_new_process_reads_what_was_rated_since_training(database: Sessions) -> None:
    await rate(database, 5)
    updates = RatingUpdates()
    model: Any = Model()
    await updates.follow(database, model, await snapshot_of(database))
    assert list(updates.rows) == [5]


async def test_a_rating_that_changes_or_goes_is_followed(database: Sessions) -> None:
    updates = RatingUpdates()
    model: Any = Model()
    await rate(database, 5)
    await updates.follow(database, model, await snapshot_of(database))
    for statement, expected in (
        ("UPDATE ratings SET half_stars = 10 WHERE user_id = 1", [0, *[1] * 9]),
        ("DELETE FROM ratings WHERE user_id = 2", [0, 0, *[1] * 8]),
        ("DELETE FROM ratings", [0] * 10),
    ):
        async with database.begin() as session:
            await session.execute(text(statement))
        await updates.follow(database, model, await snapshot_of(database))
        assert updates.rows[5].tolist() == expected


async def test_simulated_ratings_count_only_until_real_ones_are_loaded(database: Sessions) -> None:
    await rate(database, 5)
    async with database.begin() as session:
        await session.execute(REAL)
    updates = RatingUpdates()
    model: Any = Model()
    await updates.follow(database, model, await snapshot_of(database))
    assert updates.rows[5].tolist() == [1] * 6 + [0] * 4


async def test_a_hundredth_more_ratings_are_needed_for_another_read(database: Sessions) -> None:
    model: Any = Model()
    updates = RatingUpdates()
    many: Any = SimpleNamespace(
        rating_count=np.full(N_MOVIES, 1_000), half_stars_sum=np.full(N_MOVIES, 7_000)
    )
    await updates._look(database, model, many)
    few: Any = SimpleNamespace(rating_count=many.rating_count + 9, half_stars_sum=many.half_stars_sum + 69)
    await updates._look(database, model, few)
    assert not updates.due
    more: Any = SimpleNamespace(rating_count=many.rating_count + 10, half_stars_sum=many.half_stars_sum + 69)
    await updates._look(database, model, more)
    assert len(updates.due) == N_MOVIES
    updates.looked[:, 0] = rating_updates.RATINGS_AT_ONCE // 2
    assert len(updates._next(model)) == 2
    updates.looked[:, 0] = 2 * rating_updates.RATINGS_AT_ONCE
    assert len(updates._next(model)) == 1


async def test_it_rests_after_a_failure(database: Sessions) -> None:
    updates = RatingUpdates()
    model: Any = Model()
    await updates.follow(database, model, await snapshot_of(database))
    await rate(database, 5)
    rated = await snapshot_of(database)

    def fail(*event_: Any) -> None:
        if "FROM ratings" in event_[2]:
            raise OperationalError("", {}, Exception("canceling statement due to statement timeout"))

    event.listen(database.kw["bind"].sync_engine, "before_cursor_execute", fail)
    with pytest.raises(OperationalError):
        await updates.follow(database, model, rated)
    await updates.follow(database, model, rated)
    assert list(updates.due) == [5]
