"""Update item factors online as ratings arrive, without a full training."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text

from app.activity import ratings
from app.db.engine import Sessions
from app.serving.model import BEFORE, Factors, Model
from app.serving.snapshot import Snapshot
from recommender.interactions import History, positions
from recommender.model.item_step import ItemStep, updated

MOST_SEEN = 200  # most training ratings of a movie that is updated: a new one changes others little
MOST_NEW = 100  # newest ratings of a movie that an update uses
ENOUGH_NEW = 1000  # most ratings since training of a movie that is updated
MOVIES_AT_ONCE, RATERS_AT_ONCE = 32, 200
HISTORIES_AT_ONCE = 20  # per statement
STEP = 8  # a movie is updated again when it has an eighth more new ratings
TRAINING_TAKES = timedelta(hours=1)  # longest duration; ratings made meanwhile are not in the model
MOST_TRIES = 3  # attempts to read the ratings of a movie
FIRST_REST, LONGEST_REST = timedelta(seconds=5), timedelta(minutes=5)  # doubles with each failure

CHANGED = text(
    """
    SELECT movie_id FROM movie_stats WHERE updated_at > (
        SELECT trained_at - CAST(:margin AS interval) FROM model_versions WHERE version = :version)
    """
)
# The newest ratings of each movie, as many as it has more than in training. Ratings of simulated members are
# left out once a data set of real ones is loaded, as in training.
NEWEST = text(
    """
    SELECT movie.id, array_agg(user_id ORDER BY place) AS user_ids,
        array_agg(half_stars ORDER BY place) AS half_stars
    FROM unnest(CAST(:movie_ids AS bigint[]), CAST(:seen AS integer[])) AS movie (id, seen)
    CROSS JOIN LATERAL (
        SELECT user_id, half_stars, count(*) OVER () - movie.seen AS count,
            row_number() OVER (ORDER BY rated_at DESC, user_id) AS place
        FROM ratings JOIN users ON users.id = user_id
        WHERE movie_id = movie.id AND NOT (simulated AND EXISTS (
            SELECT FROM dataset_versions WHERE NOT dataset_versions.simulated AND rating_count > 0))
    ) AS newest
    WHERE place <= least(count, :most)
    GROUP BY movie.id
    """
)

Row = NDArray[np.float32]

log = logging.getLogger("marquee.arrivals")


@dataclass(slots=True)
class Arrivals:
    """Online updates of the items of one model in this process.

    item_ids: int64 (n_items,), of the model. looked: int32 (n_items,), rating counts at the last look. due:
    queue of movie ids with their failed attempts. fitted: trained factors of updated movies, float32
    (factors,). rows: their current factors. failures: failed batches in a row.
    """

    version: str = ""
    item_ids: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    looked: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    due: dict[int, int] = field(default_factory=dict)
    fitted: dict[int, Row] = field(default_factory=dict)
    rows: dict[int, Row] = field(default_factory=dict)
    unserved: bool = False  # whether the served model lacks some of `rows`
    failures: int = 0
    resting_until: datetime = BEFORE

    async def follow(self, sessions: Sessions, model: Model, snapshot: Snapshot) -> None:
        """Update the factors of movies rated since training, a bounded number at a time.

        Without new ratings it runs no statement. A batch that fails goes to the end of the queue, is tried
        again after a rest, and is given up after MOST_TRIES; the next training includes its ratings.
        """
        step = model.hybrid.item_step
        if step is None:
            return
        await self._look(sessions, model, snapshot, step)
        if not self.due or datetime.now(UTC) < self.resting_until:
            return
        movie_ids = list(self.due)[:MOVIES_AT_ONCE]
        try:
            done = await self._follow(sessions, model, step, movie_ids)
        except Exception:
            self._put_off(movie_ids)
            raise
        self.failures = 0
        for movie_id in done:
            del self.due[movie_id]

    async def _follow(
        self, sessions: Sessions, model: Model, step: ItemStep, movie_ids: Sequence[int]
    ) -> Sequence[int]:
        """Update the first of these movies, as many as RATERS_AT_ONCE allow; return their ids."""
        seen = step.seen(model.item_idx(movie_ids))
        params = {"movie_ids": movie_ids, "seen": seen.tolist(), "most": MOST_NEW}
        histories: dict[int, ratings.History] = {}
        async with sessions() as session:
            newest = {row.id: (row.user_ids, row.half_stars) for row in await session.execute(NEWEST, params)}
            taken = within_reach(movie_ids, newest)
            raters = sorted({user_id for movie_id in taken for user_id in newest.get(movie_id, ((),))[0]})
            for start in range(0, len(raters), HISTORIES_AT_ONCE):
                batch = raters[start : start + HISTORIES_AT_ONCE]
                histories |= await ratings.newest_histories(session, batch)
        await asyncio.to_thread(self._move, model, {id_: newest.get(id_) for id_ in taken}, histories)
        return taken

    def _put_off(self, movie_ids: Sequence[int]) -> None:
        """Move a failed batch to the end of the queue; drop movies that have failed MOST_TRIES times."""
        self.failures += 1
        rest = min(FIRST_REST * 2 ** min(self.failures - 1, 16), LONGEST_REST)
        self.resting_until = datetime.now(UTC) + rest
        tries = {movie_id: self.due.pop(movie_id) + 1 for movie_id in movie_ids}
        self.due |= {movie_id: count for movie_id, count in tries.items() if count < MOST_TRIES}
        if given_up := [movie_id for movie_id, count in tries.items() if count >= MOST_TRIES]:
            log.warning(
                "cannot read the ratings of %d movies: their factors stay until the next training",
                len(given_up),
            )

    def applied(self, model: Model) -> Model:
        """The model with the updated factors; it may have some already."""
        self.unserved = False
        movie_ids = np.fromiter(self.rows, np.int64, len(self.rows))
        rows = np.array(list(self.rows.values()), np.float32).reshape(len(self.rows), -1)
        item_idx = model.item_idx(movie_ids)
        here = item_idx >= 0
        here[here] = (model.hybrid.factor_model.item_factors[item_idx[here]] != rows[here]).any(axis=1)
        return model.with_factors(Factors(movie_ids[here], rows[here])) if here.any() else model

    async def _look(self, sessions: Sessions, model: Model, snapshot: Snapshot, step: ItemStep) -> None:
        """Queue the movies that were rated since the last look."""
        item_ids = model.hybrid.item_ids
        here = model.snapshot_idx >= 0
        counts = np.where(here, snapshot.rating_count[model.snapshot_idx], 0)
        if self.version != model.version:
            params = {"version": model.version, "margin": TRAINING_TAKES}
            async with sessions() as session:
                changed = model.item_idx((await session.scalars(CHANGED, params)).all())
            changed = changed[changed >= 0]
            self.version, self.item_ids, self.looked = model.version, item_ids, counts.copy()
            self.looked[changed] = step.seen(changed)
            self.due, self.fitted, self.rows, self.unserved = {}, {}, {}, False
        elif self.item_ids is not item_ids:
            before = positions(self.item_ids, item_ids)
            self.looked = np.where(before >= 0, self.looked[before], 0)
            self.item_ids, self.unserved = item_ids, bool(self.rows)
        self._queue(model, step, counts, here)

    def _queue(
        self, model: Model, step: ItemStep, counts: NDArray[np.int32], here: NDArray[np.bool_]
    ) -> None:
        """Add movies to `due` according to their rating counts, int32 (n_items,).

        When ratings were deleted, only a movie that was updated with them needs another update. A movie
        beyond MOST_SEEN or ENOUGH_NEW leaves the queue: an update would change it little and take long.
        """
        seen = step.seen(np.arange(self.item_ids.size))
        enough = np.maximum((self.looked - seen) // STEP, 1)
        within = here & (seen <= MOST_SEEN) & (counts - seen <= ENOUGH_NEW)
        moved = np.zeros(self.item_ids.size, np.bool_)
        rows = model.item_idx(list(self.rows))
        moved[rows[rows >= 0]] = True
        fell = here & (counts < self.looked)
        called = within & ((counts >= self.looked + enough) | (fell & moved))
        self.looked[fell] = np.maximum(counts, seen)[fell]
        self.looked[called] = counts[called]
        self.due = dict.fromkeys(self.item_ids[called].tolist(), 0) | self.due
        if self.due:
            due = model.item_idx(list(self.due))
            keep = (due >= 0) & within[due]
            self.due = {
                id_: tries for (id_, tries), kept in zip(self.due.items(), keep.tolist(), strict=True) if kept
            }

    def _move(
        self,
        model: Model,
        newest: Mapping[int, tuple[Sequence[int], Sequence[int]] | None],
        histories: Mapping[int, ratings.History],
    ) -> None:
        """Compute the factors of movies from their newest ratings: ids of the raters, and half-stars."""
        indexed = {user_id: history_in(model, history) for user_id, history in histories.items()}
        step, factors = model.hybrid.item_step, model.hybrid.factor_model
        assert step is not None
        for movie_id, rated in newest.items():
            movie = int(model.item_idx([movie_id])[0])
            if rated is not None:
                fitted = self.fitted.setdefault(movie_id, factors.item_factors[movie].copy())
                stars = (np.array(rated[1]) / 2).astype(np.float32)
                of_raters = [indexed[user_id] for user_id in rated[0]]
                self.rows[movie_id] = updated(step, factors, movie, fitted, of_raters, stars)
                self.unserved = True
            elif movie_id in self.rows:  # its new ratings were deleted
                self.rows[movie_id] = self.fitted[movie_id]
                self.unserved = True


def within_reach(movie_ids: Sequence[int], newest: Mapping[int, tuple[Sequence[int], Any]]) -> list[int]:
    """The first of these movies with at most RATERS_AT_ONCE raters together; at least one movie."""
    raters: set[int] = set()
    for place, movie_id in enumerate(movie_ids):
        raters.update(newest.get(movie_id, ((), ()))[0])
        if place and len(raters) > RATERS_AT_ONCE:
            return list(movie_ids[:place])
    return list(movie_ids)


def history_in(model: Model, history: ratings.History) -> History:
    """A user's ratings by item index, without movies that are not in the model."""
    movie_ids, half_stars, rated_at = history
    item_idx = model.item_idx(movie_ids)
    here = item_idx >= 0
    return History(item_idx[here], (half_stars[here] / 2).astype(np.float32), rated_at[here])
