"""Movies that are rated while this process serves move with their ratings, long before the next training."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text

from app.activity import ratings
from app.db.engine import Sessions
from app.serving.model import BEFORE, Model
from app.serving.snapshot import Snapshot
from recommender.interactions import History, positions
from recommender.model.item_step import ItemStep

MOST_SEEN = 200  # ratings in training, after which a further one tells little: the next training hears of it
MOST_NEW = 100  # the newest ratings that a movie moves by
ENOUGH_NEW = 1000  # ratings since training, after which the next training is what a movie waits for
MOVIES_AT_ONCE, RATERS_AT_ONCE = 32, 200
HISTORIES_AT_ONCE = 20  # that one statement reads
STEP = 8  # a movie moves again when it has an eighth more new ratings
TRAINING_TAKES = timedelta(hours=1)  # at most; ratings given meanwhile are not in the model
MOST_TRIES = 3  # of a movie whose ratings cannot be read
FIRST_REST, LONGEST_REST = timedelta(seconds=5), timedelta(minutes=5)  # after a failure, and after many

CHANGED = text(
    """
    SELECT movie_id FROM movie_stats WHERE updated_at > (
        SELECT trained_at - CAST(:margin AS interval) FROM model_versions WHERE version = :version)
    """
)
# As many of a movie's newest ratings as it has more than in training, where simulated ones have no part once
# there are real ones.
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
    """What has become of the movies of a model since it was trained, in this process.

    item_ids: int64 (n_items,), the model's; looked: int32 (n_items,), the counts of ratings that were looked
    at. due: movies to look at, the first first, and how often that failed. fitted: factors of movies that
    have moved, float32 (factors,), as training left them; rows: as they are now. failures: of the last
    batches.
    """

    version: str = ""
    item_ids: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    looked: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    due: dict[int, int] = field(default_factory=dict)
    fitted: dict[int, Row] = field(default_factory=dict)
    rows: dict[int, Row] = field(default_factory=dict)
    unsaid: bool = False  # rows that the model served does not have yet
    failures: int = 0
    resting_until: datetime = BEFORE

    async def follow(self, sessions: Sessions, model: Model, snapshot: Snapshot) -> None:
        """Work out where movies stand that have been rated since: a bounded number of them at a time.

        No statement where nothing was rated. A batch that fails is tried again after a rest, behind the
        others, and given up after MOST_TRIES: the next training has its ratings.
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
        """Move the first of these movies, as many as RATERS_AT_ONCE allow; gives which."""
        seen = step.seen(model.item_idx(movie_ids))
        asked = {"movie_ids": movie_ids, "seen": seen.tolist(), "most": MOST_NEW}
        known: dict[int, ratings.History] = {}
        async with sessions() as session:
            newest = {row.id: (row.user_ids, row.half_stars) for row in await session.execute(NEWEST, asked)}
            taken = within_reach(movie_ids, newest)
            raters = sorted({user_id for movie_id in taken for user_id in newest.get(movie_id, ((),))[0]})
            for start in range(0, len(raters), HISTORIES_AT_ONCE):
                known |= await ratings.newest_histories(session, raters[start : start + HISTORIES_AT_ONCE])
        await asyncio.to_thread(self._move, model, {id_: newest.get(id_) for id_ in taken}, known)
        return taken

    def _put_off(self, movie_ids: Sequence[int]) -> None:
        """Movies whose batch failed go to the end of the queue, or out of it."""
        self.failures += 1
        rest = min(FIRST_REST * 2 ** min(self.failures - 1, 16), LONGEST_REST)
        self.resting_until = datetime.now(UTC) + rest
        tries = {movie_id: self.due.pop(movie_id) + 1 for movie_id in movie_ids}
        self.due |= {movie_id: count for movie_id, count in tries.items() if count < MOST_TRIES}
        if given_up := [movie_id for movie_id, count in tries.items() if count >= MOST_TRIES]:
            log.warning(
                "the ratings of %d movies cannot be read: they move at the next training", len(given_up)
            )

    def applied(self, model: Model) -> Model:
        """The model with its movies where they stand now."""
        self.unsaid = False
        item_idx = model.item_idx(list(self.rows))
        rows = {
            int(idx): row for idx, row in zip(item_idx.tolist(), self.rows.values(), strict=True) if idx >= 0
        }
        return replace(model, hybrid=model.hybrid.with_items(rows))

    async def _look(self, sessions: Sessions, model: Model, snapshot: Snapshot, step: ItemStep) -> None:
        """Which movies have been rated since they were last looked at."""
        item_ids = model.hybrid.item_ids
        here = model.snapshot_idx >= 0
        counts = np.where(here, snapshot.rating_count[model.snapshot_idx], 0)
        if self.version != model.version:
            told = {"version": model.version, "margin": TRAINING_TAKES}
            async with sessions() as session:
                changed = model.item_idx((await session.scalars(CHANGED, told)).all())
            changed = changed[changed >= 0]
            self.version, self.item_ids, self.looked = model.version, item_ids, counts.copy()
            self.looked[changed] = step.seen(changed)
            self.due, self.fitted, self.rows, self.unsaid = {}, {}, {}, False
        elif self.item_ids is not item_ids:
            before = positions(self.item_ids, item_ids)
            self.looked = np.where(before >= 0, self.looked[before], 0)
            self.item_ids, self.unsaid = item_ids, bool(self.rows)
        self._queue(model, step, counts, here)

    def _queue(
        self, model: Model, step: ItemStep, counts: NDArray[np.int32], here: NDArray[np.bool_]
    ) -> None:
        """Add the movies to `due` that their counts of ratings call for.

        Where ratings were taken back, only a movie that had moved by them stands elsewhere now. A movie
        beyond the bounds leaves the queue: reading its ratings would take long, and it has enough of them.
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
        known: Mapping[int, ratings.History],
    ) -> None:
        histories = {user_id: history_in(model, theirs) for user_id, theirs in known.items()}
        for movie_id, given in newest.items():
            movie = int(model.item_idx([movie_id])[0])
            if given is not None:
                fitted = self.fitted.setdefault(
                    movie_id, model.hybrid.factor_model.item_factors[movie].copy()
                )
                stars = (np.array(given[1]) / 2).astype(np.float32)
                of_raters = [histories[user_id] for user_id in given[0]]
                self.rows[movie_id] = model.hybrid.item_moved(movie, fitted, of_raters, stars)
                self.unsaid = True
            elif movie_id in self.rows:  # its ratings were taken back
                self.rows[movie_id] = self.fitted[movie_id]
                self.unsaid = True


def within_reach(movie_ids: Sequence[int], newest: Mapping[int, tuple[Sequence[int], Any]]) -> list[int]:
    """The first of these movies whose raters together are RATERS_AT_ONCE at most; one movie at least."""
    raters: set[int] = set()
    for place, movie_id in enumerate(movie_ids):
        raters.update(newest.get(movie_id, ((), ()))[0])
        if place and len(raters) > RATERS_AT_ONCE:
            return list(movie_ids[:place])
    return list(movie_ids)


def history_in(model: Model, known: ratings.History) -> History:
    movie_ids, half_stars, rated_at = known
    item_idx = model.item_idx(movie_ids)
    here = item_idx >= 0
    return History(item_idx[here], (half_stars[here] / 2).astype(np.float32), rated_at[here])
