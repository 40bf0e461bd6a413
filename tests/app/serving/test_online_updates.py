"""Reads for online updates are bounded, whatever is rated, removed or unreadable."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError

from app.db.engine import Sessions
from app.serving import online_updates
from app.serving.online_updates import ENOUGH_NEW, MOST_SEEN, MOST_TRIES, MOVIES_AT_ONCE, Arrivals
from recommender.interactions import positions

pytestmark = pytest.mark.anyio

N_MOVIES = 400
MOVIES_AND_MODEL = (
    "INSERT INTO movies (id, title) SELECT n, n FROM generate_series(1, 400) AS n",
    "INSERT INTO movie_stats (movie_id, rating_count, half_stars_sum) SELECT id, 99, 99 FROM movies",
    "INSERT INTO model_versions (version, status, dataset_version, metrics) VALUES ('1', 'ACTIVE', '', '{}')",
)


class Step:
    """An item step of movies with `counts` ratings in training."""

    def __init__(self, counts: NDArray[np.int32]) -> None:
        self.counts = counts

    def seen(self, item_idx: NDArray[Any]) -> NDArray[np.int32]:
        found: NDArray[np.int32] = np.where(item_idx >= 0, self.counts[item_idx], 0).astype(np.int32)
        return found


@dataclass(frozen=True)
class Model:
    version: str
    hybrid: Any
    snapshot_idx: NDArray[np.int32]

    def item_idx(self, movie_ids: Any) -> NDArray[np.int32]:
        return positions(self.hybrid.item_ids, np.asarray(movie_ids, np.int64))


def model_of(counts: NDArray[np.int32]) -> Any:
    item_ids = np.arange(1, counts.size + 1)
    hybrid = SimpleNamespace(item_ids=item_ids, item_step=Step(counts))
    return Model("1", hybrid, np.arange(counts.size, dtype=np.int32))


def snapshot_of(counts: NDArray[Any]) -> Any:
    return SimpleNamespace(rating_count=counts.astype(np.int32))


async def settled(sessions: Sessions, model: Any, counts: NDArray[Any]) -> Arrivals:
    """Updates that have seen movies with these counts, with an empty queue."""
    known = Arrivals()
    await known._look(sessions, model, snapshot_of(counts), model.hybrid.item_step)
    assert known.due == {}
    return known


async def test_removed_ratings_queue_only_updated_movies(sessions: Sessions) -> None:
    """As after the deletion of an account with a rating of every movie."""
    counts = np.linspace(10, 50_000, N_MOVIES).astype(np.int32)
    model = model_of(counts)
    known = await settled(sessions, model, counts)
    known.rows = {1: np.zeros(2, np.float32), N_MOVIES: np.zeros(2, np.float32)}
    await known._look(sessions, model, snapshot_of(counts - 1), model.hybrid.item_step)
    assert list(known.due) == [1], "the most rated movie is beyond the bounds"
    await known._look(sessions, model, snapshot_of(counts - 1), model.hybrid.item_step)
    assert list(known.due) == [1]


async def test_a_new_process_queues_no_movie_for_removed_ratings(sessions: Sessions) -> None:
    counts = np.full(N_MOVIES, 100, np.int32)
    model = model_of(counts)
    async with sessions.begin() as session:
        for statement in MOVIES_AND_MODEL:
            await session.execute(text(statement))
    await settled(sessions, model, counts - 1)


async def test_movies_beyond_the_bounds_leave_the_queue(sessions: Sessions) -> None:
    counts = np.full(N_MOVIES, MOST_SEEN, np.int32)
    model = model_of(counts)
    known = await settled(sessions, model, counts)
    await known._look(sessions, model, snapshot_of(counts + 500), model.hybrid.item_step)
    assert len(known.due) == N_MOVIES
    crowd = counts + 500
    crowd[:300] += ENOUGH_NEW
    await known._look(sessions, model, snapshot_of(crowd), model.hybrid.item_step)
    assert list(known.due) == list(range(301, N_MOVIES + 1))


async def test_a_failed_batch_is_dropped(sessions: Sessions) -> None:
    counts = np.full(N_MOVIES, 10, np.int32)
    model = model_of(counts)
    known = await settled(sessions, model, counts)
    read: list[list[int]] = []

    def note(*event_: Any) -> None:
        if "LATERAL" in event_[2]:
            read.append(event_[3]["movie_ids"])
            raise OperationalError("", {}, Exception("canceling statement due to statement timeout"))

    event.listen(sessions.kw["bind"].sync_engine, "before_cursor_execute", note)
    more = snapshot_of(counts + 10)
    with pytest.raises(OperationalError):
        await known.follow(sessions, model, more)
    assert len(read[0]) == MOVIES_AT_ONCE
    await known.follow(sessions, model, more)
    assert len(read) == 1, "it rests"
    assert known.resting_until > datetime.now(UTC)
    rests = [online_updates.FIRST_REST]
    while known.due:
        known.resting_until = datetime.now(UTC) - timedelta(seconds=1)
        with pytest.raises(OperationalError):
            await known.follow(sessions, model, more)
        rests.append(known.resting_until - datetime.now(UTC))
    assert rests[1] > rests[0]
    assert max(rests) <= online_updates.LONGEST_REST
    movies = [movie_id for batch in read for movie_id in batch]
    assert all(movies.count(movie_id) == MOST_TRIES for movie_id in range(1, N_MOVIES + 1))
    assert movies[:N_MOVIES] == list(range(1, N_MOVIES + 1)), "others come before it is tried again"
