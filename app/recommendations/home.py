"""Build the home page and paginate its shelves."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, case, func, select

from app.activity.history import watched_since
from app.db.activity_tables import Rating
from app.db.engine import Sessions
from app.db.tables import MovieStats
from app.recommendations import recommend
from app.recommendations.history import NO_HISTORY, UserHistory, history_of
from app.recommendations.recommend import Match, Pick, Reason
from app.recommendations.shelves import LONG_AGO, LONGEST, Shelf, ShelfKind, Shelving, dealt
from app.recommendations.steering.promotions import Promotion
from app.recommendations.steering.steer import Steering
from app.serving.model import Model
from app.serving.snapshot import Snapshot

YOU_LOVED_IT = "YOU_LOVED_IT"
NEGLIGIBLE = 1e-6  # share of one rating's weight: rounding error of a trend from which it was subtracted


def trends_for(user_id: int | None, now: datetime) -> Select[int, float]:
    """Select movies by trend, highest first, without the effect of the member's own ratings since `now`.

    The shelves are dealt again for every later page. The member's ratings must not move movies meanwhile.
    """
    top = (
        select(MovieStats.movie_id, MovieStats.trend)
        .where(MovieStats.trend > 0)
        .order_by(MovieStats.trend.desc(), MovieStats.movie_id.desc())
        .limit(LONGEST)
        .subquery()
    )
    added = case((Rating.rated_at.is_not(None), func.trend_weight(Rating.rated_at)), else_=0.0)
    trend = top.c.trend - added
    own = (Rating.user_id == user_id) & (Rating.movie_id == top.c.movie_id) & (Rating.rated_at > now)
    return (
        select(top.c.movie_id, trend.label("trend"))
        .outerjoin(Rating, own)
        .where(trend > NEGLIGIBLE * added)
        .order_by(trend.desc(), top.c.movie_id.desc())
    )


class Standing(NamedTuple):
    """Position of a movie in a shelf, from which the next page continues.

    `rank`: movies shown up to it. `place`: index in the shelf's own order.
    """

    rank: int
    place: int
    score: float
    movie_id: int


@dataclass(frozen=True, slots=True)
class ShelfPage:
    """Picks of a shelf, each with the position after which the next page starts."""

    picks: list[tuple[Pick, Standing]]
    has_next: bool


@dataclass(frozen=True, slots=True)
class HomePage:
    shelving: Shelving
    shelves: list[Shelf]

    def page(
        self,
        shelf: Shelf,
        first: int,
        after: Standing | None = None,
        rated_since: frozenset[int] = frozenset(),
    ) -> ShelfPage:
        """Return the `first` movies of the shelf after `after`, without those of `rated_since`."""
        ids = self.shelving.model.hybrid.item_ids[shelf.item_idx]
        places = [
            place
            for place in shelf.dealt
            if int(ids[place]) not in rated_since and (after is None or self._follows(shelf, place, after))
        ]
        shown = np.array(places[:first], np.int32)
        promoted = self.shelving.promoted(shelf, shelf.item_idx[shown])
        matches = recommend.disclosed(self._matches(shelf, shelf.item_idx[shown]), promoted)
        rank = after.rank if after else 0
        picks = []
        for place, match, of_promotion in zip(shown.tolist(), matches, promoted.tolist(), strict=True):
            rank += 1
            movie_id, score = int(ids[place]), float(shelf.scores[place])
            pick = Pick(movie_id, rank, score, match, promoted=of_promotion)
            picks.append((pick, Standing(rank, place, score, movie_id)))
        return ShelfPage(picks, has_next=len(places) > first)

    def _follows(self, shelf: Shelf, place: int, after: Standing) -> bool:
        """Whether the movie at `place` comes after `after`.

        Trends change between two pages, but they only rise. A movie that is below the last shown one now was
        below it before, so trending movies are compared by score and id instead of place.
        """
        if shelf.kind is not ShelfKind.TRENDING:
            return place > after.place
        movie_id = int(self.shelving.model.hybrid.item_ids[shelf.item_idx[place]])
        return (float(shelf.scores[place]), movie_id) < (after.score, after.movie_id)

    def _matches(self, shelf: Shelf, item_idx: NDArray[np.int32]) -> list[Match]:
        """Predict m movies of the shelf. For REDISCOVER, the member's own ratings of them are left out."""
        model = self.shelving.model
        if shelf.kind is not ShelfKind.REDISCOVER:
            subject = None
            if shelf.kind is ShelfKind.BECAUSE_YOU_LIKED and shelf.subject is not None:
                subject = int(model.item_idx([shelf.subject])[0])
            return recommend.predicted(model, self.shelving.history, item_idx, subject)
        history = self.shelving.history_without(shelf.item_idx)
        reasons_of = {int(movie): loved(self.shelving.user, model, int(movie)) for movie in item_idx}
        matches = recommend.predicted(model, history, item_idx)
        return [
            replace(match, reasons=reasons) if (reasons := reasons_of[movie]) else match
            for movie, match in zip(item_idx.tolist(), matches, strict=True)
        ]


def loved(user: UserHistory, model: Model, movie: int) -> tuple[Reason, ...]:
    """The reason YOU_LOVED_IT with the member's stars and year; empty for a movie without their rating."""
    (places,) = np.nonzero(user.movie_ids[: user.rated] == model.hybrid.item_ids[movie])
    if not places.size:
        return ()
    year = datetime.fromtimestamp(int(user.timestamps[places[0]]), UTC).year
    return (Reason(YOU_LOVED_IT, f"{user.stars[places[0]]:g} stars in {year}", None),)


async def home(
    sessions: Sessions,
    snapshot: Snapshot,
    model: Model,
    user_id: int | None,
    *,
    count: int,
    per_shelf: int,
    now: datetime,
    promotions: Sequence[Promotion] = (),
) -> HomePage:
    """Build at most `count` shelves for a member or a visitor as of `now`, in at most five statements."""
    user = NO_HISTORY
    if user_id is not None:
        user = await history_of(sessions, user_id, now)
    lately: set[int] = set()
    async with sessions() as session:
        rows = (await session.execute(trends_for(user_id, now))).all()
        trends = (
            np.array([row.movie_id for row in rows], np.int64),
            np.log(np.array([row.trend for row in rows], np.float64)),
        )
        steering = await asyncio.to_thread(Steering.of, snapshot, model, promotions, user.preferences)
        shelving = Shelving(snapshot, model, user, now, trends, steering=steering)
        old = user.movie_ids[shelving.loved_long_ago()].tolist()
        if user_id is not None and old:
            lately = await watched_since(session, user_id, now - LONG_AGO, old)
    shelving = replace(shelving, lately=frozenset(lately))
    return await asyncio.to_thread(put_up, shelving, count, per_shelf)


def put_up(shelving: Shelving, count: int, per_shelf: int) -> HomePage:
    """Make the first `count` shelves and deal movies to them. Shelves that get none are left out."""
    shelves = shelving.shelves(count)
    hands = dealt(shelves, per_shelf)
    return HomePage(
        shelving,
        [replace(shelf, dealt=tuple(hand)) for shelf, hand in zip(shelves, hands, strict=True) if hand],
    )
