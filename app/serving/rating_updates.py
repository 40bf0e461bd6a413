"""Popularity, stars and match percents that follow new ratings between trainings."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text

from app.db.engine import Sessions
from app.serving.model import BEFORE, Model, Ratings
from app.serving.online_updates import CHANGED, TRAINING_TAKES
from app.serving.snapshot import Snapshot
from app.training.data import REAL_RATINGS_LOADED
from recommender.interactions import positions
from recommender.model.popularity import HALF_STARS

STEP = 100  # a movie is read again when the number or the sum of its ratings differs by a hundredth
RATINGS_AT_ONCE, MOVIES_AT_ONCE = 200_000, 500  # per statement; one movie may have more ratings
REST = timedelta(seconds=30)  # after a failure

_HISTOGRAMS = """
SELECT movie_id, half_stars, count(*) FROM ratings WHERE movie_id = ANY(:movie_ids) {real} GROUP BY 1, 2
"""
# Of simulated members only if their ratings are training data.
_OF_ALL = text(_HISTOGRAMS.format(real=""))
_OF_REAL = text(
    _HISTOGRAMS.format(real="AND NOT EXISTS (SELECT FROM users WHERE users.id = user_id AND simulated)")
)


@dataclass(slots=True)
class RatingUpdates:
    """The ratings since training of the movies of one model, in this process.

    item_ids: int64 (n_items,), of the model. looked: int64 (n_items, 2), count and sum of half-stars at the
    last look. due: queue of movie ids. rows: histogram of each movie that was read, int32 (HALF_STARS,).
    """

    version: str = ""
    item_ids: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    looked: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 2), np.int64))
    due: dict[int, None] = field(default_factory=dict)
    rows: dict[int, NDArray[np.int32]] = field(default_factory=dict)
    unserved: bool = False  # whether the served model lacks some of `rows`
    resting_until: datetime = BEFORE

    async def follow(self, sessions: Sessions, model: Model, snapshot: Snapshot) -> None:
        """Read the histograms of movies that were rated since training, a bounded number at a time.

        Without new ratings it runs no statement.
        """
        if model.hybrid.ratings is None or datetime.now(UTC) < self.resting_until:
            return
        try:
            await self._look(sessions, model, snapshot)
            if self.due:
                await self._read(sessions, self._next(model))
        except Exception:
            self.resting_until = datetime.now(UTC) + REST
            raise

    def applied(self, model: Model) -> Model:
        """The model with the ratings that were read; it may have some already."""
        self.unserved = False
        known = model.hybrid.ratings
        assert known is not None
        movie_ids = np.fromiter(self.rows, np.int64, len(self.rows))
        rows = np.array(list(self.rows.values()), np.int32).reshape(-1, HALF_STARS)
        item_idx = model.item_idx(movie_ids)
        here = item_idx >= 0
        here[here] = (known.histogram[item_idx[here]] != rows[here]).any(axis=1)
        return model.with_ratings(Ratings(movie_ids[here], rows[here])) if here.any() else model

    async def _look(self, sessions: Sessions, model: Model, snapshot: Snapshot) -> None:
        """Queue the movies whose ratings differ from those of the last look."""
        item_ids = model.hybrid.item_ids
        here = (model.snapshot_idx >= 0)[:, None]
        counts = np.stack([snapshot.rating_count, snapshot.half_stars_sum], axis=1)[model.snapshot_idx]
        if self.version != model.version:
            params = {"version": model.version, "margin": TRAINING_TAKES}
            async with sessions() as session:
                changed = model.item_idx((await session.scalars(CHANGED, params)).all())
            self.version, self.item_ids, self.looked = model.version, item_ids, counts.astype(np.int64)
            self.due = dict.fromkeys(item_ids[changed[changed >= 0]].tolist())
            self.rows, self.unserved = {}, False
            return
        if self.item_ids is not item_ids:
            before = positions(self.item_ids, item_ids)
            self.looked = np.where((before >= 0)[:, None], self.looked[before], 0)
            self.item_ids, self.unserved = item_ids, bool(self.rows)
        moved = np.abs(counts - self.looked) * STEP >= np.maximum(self.looked, 1)
        called = (moved & here).any(axis=1)
        self.looked[called] = counts[called]
        self.due |= dict.fromkeys(item_ids[called].tolist())

    def _next(self, model: Model) -> list[int]:
        """The first movies of the queue, as many as the bounds allow; at least one."""
        movie_ids = list(self.due)[:MOVIES_AT_ONCE]
        counts = np.cumsum(self.looked[model.item_idx(movie_ids), 0])
        return movie_ids[: max(1, int(np.searchsorted(counts, RATINGS_AT_ONCE, side="right")))]

    async def _read(self, sessions: Sessions, movie_ids: list[int]) -> None:
        async with sessions() as session:
            only_real = (await session.scalars(text(REAL_RATINGS_LOADED))).one()
            found = await session.execute(_OF_REAL if only_real else _OF_ALL, {"movie_ids": movie_ids})
            rows = {movie_id: np.zeros(HALF_STARS, np.int32) for movie_id in movie_ids}
            for movie_id, half_stars, count in found:
                rows[movie_id][half_stars - 1] = count
        self.rows |= rows
        for movie_id in movie_ids:
            del self.due[movie_id]
        self.unserved = True
