"""The page a member lands on: what it is made from, and the movies of a shelf, page by page."""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, case, func, select

from app.activity import history as diary
from app.db.engine import Sessions
from app.db.tables import MovieStats, Rating
from app.recommendations import recommend
from app.recommendations.history import NOBODYS, Taste, taste_of
from app.recommendations.recommend import Match, Pick, Reason
from app.recommendations.shelves import LONG_AGO, LONGEST, Kind, Shelf, Shelving, dealt
from app.serving.model import Model
from app.serving.snapshot import Snapshot

YOU_LOVED_IT = "YOU_LOVED_IT"
NEGLIGIBLE = 1e-6  # of one rating's weight: what subtraction leaves of a trend that was 0


def trends_for(user_id: int | None, now: datetime) -> Select[int, float]:
    """Movies by their trend, highest first, without what the member has rated since `now`.

    A page that is continued is dealt again. The member's own ratings must not move its movies meanwhile.
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
    """Behind which movie of a shelf: how many were shown, its place in the shelf's own order, score and
    id."""

    rank: int
    place: int
    score: float
    movie_id: int


@dataclass(frozen=True, slots=True)
class ShelfPage:
    """ItemFeatures, and after each of them the standing from which the shelf goes on."""

    picks: list[tuple[Pick, Standing]]
    has_next: bool


@dataclass(frozen=True, slots=True)
class Home:
    shelving: Shelving
    shelves: list[Shelf]

    def page(
        self,
        shelf: Shelf,
        first: int,
        after: Standing | None = None,
        rated_since: frozenset[int] = frozenset(),
    ) -> ShelfPage:
        """The next `first` movies of the shelf; those rated since the page was first shown are left out."""
        ids = self.shelving.model.hybrid.item_ids[shelf.item_idx]
        places = [
            place
            for place in shelf.dealt
            if int(ids[place]) not in rated_since and (after is None or self._follows(shelf, place, after))
        ]
        shown = np.array(places[:first], np.int32)
        matches = self._matches(shelf, shelf.item_idx[shown])
        rank = after.rank if after else 0
        picks = []
        for place, match in zip(shown.tolist(), matches, strict=True):
            rank += 1
            movie_id, score = int(ids[place]), float(shelf.scores[place])
            picks.append((Pick(movie_id, rank, score, match), Standing(rank, place, score, movie_id)))
        return ShelfPage(picks, has_next=len(places) > first)

    def _follows(self, shelf: Shelf, place: int, after: Standing) -> bool:
        """Trends move between two pages, but rise only: what stands below a trend now has stood below it."""
        if shelf.kind is not Kind.TRENDING:
            return place > after.place
        movie_id = int(self.shelving.model.hybrid.item_ids[shelf.item_idx[place]])
        return (float(shelf.scores[place]), movie_id) < (after.score, after.movie_id)

    def _matches(self, shelf: Shelf, item_idx: NDArray[np.int32]) -> list[Match]:
        """Predictions as of the shelf: movies that the member has rated are predicted as if they had not."""
        model = self.shelving.model
        if shelf.kind is not Kind.REDISCOVER:
            subject = None
            if shelf.kind is Kind.BECAUSE_YOU_LIKED and shelf.subject is not None:
                subject = int(model.item_idx([shelf.subject])[0])
            return recommend.judged(model, self.shelving.history, item_idx, subject)
        history = self.shelving.history_without(shelf.item_idx)
        reasons_of = {int(movie): loved(self.shelving.taste, model, int(movie)) for movie in item_idx}
        matches = recommend.judged(model, history, item_idx)
        return [
            replace(match, reasons=reasons) if (reasons := reasons_of[movie]) else match
            for movie, match in zip(item_idx.tolist(), matches, strict=True)
        ]


def loved(taste: Taste, model: Model, movie: int) -> tuple[Reason, ...]:
    """That the member gave the movie its stars, and when; nothing for a movie they have not rated."""
    (places,) = np.nonzero(taste.movie_ids[: taste.rated] == model.hybrid.item_ids[movie])
    if not places.size:
        return ()
    year = datetime.fromtimestamp(int(taste.timestamps[places[0]]), UTC).year
    return (Reason(YOU_LOVED_IT, f"{taste.stars[places[0]]:g} stars in {year}", None),)


async def home(
    sessions: Sessions,
    snapshot: Snapshot,
    model: Model,
    user_id: int | None,
    *,
    count: int,
    per_shelf: int,
    now: datetime,
) -> Home:
    """At most `count` shelves for a member, or for nobody, as of `now`; at most five statements."""
    taste = NOBODYS
    if user_id is not None:
        taste = await taste_of(sessions, user_id, now)
    lately: set[int] = set()
    async with sessions() as session:
        rows = (await session.execute(trends_for(user_id, now))).all()
        trends = (
            np.array([row.movie_id for row in rows], np.int64),
            np.log(np.array([row.trend for row in rows], np.float64)),
        )
        shelving = Shelving(snapshot, model, taste, now, trends)
        old = taste.movie_ids[shelving.loved_long_ago()].tolist()
        if user_id is not None and old:
            lately = await diary.watched_since(session, user_id, now - LONG_AGO, old)
    shelving = replace(shelving, lately=frozenset(lately))
    return await asyncio.to_thread(put_up, shelving, count, per_shelf)


def put_up(shelving: Shelving, count: int, per_shelf: int) -> Home:
    """The first `count` shelves, each with the places that it is dealt."""
    shelves = shelving.shelves(count)
    hands = dealt(shelves, per_shelf)
    return Home(
        shelving,
        [replace(shelf, dealt=tuple(hand)) for shelf, hand in zip(shelves, hands, strict=True) if hand],
    )
