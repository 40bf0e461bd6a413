"""Build the home page and paginate its shelves."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text

from app.db.engine import Sessions
from app.db.reads import array_in, sql_of
from app.recommendations import recommend
from app.recommendations.dealing import dealt
from app.recommendations.history import NO_HISTORY, UserHistory, history_of
from app.recommendations.recommend import Detail, Match, Pick, Reason
from app.recommendations.shelves import LONG_AGO, LONGEST, Shelf, ShelfKind, Shelving
from app.recommendations.steering.promotions import Promotion
from app.recommendations.steering.steer import Steering
from app.serving.model import Model
from app.serving.snapshot import Snapshot

Trends = tuple[NDArray[np.int64], NDArray[np.float64]]

YOU_LOVED_IT = "YOU_LOVED_IT"
NEGLIGIBLE = 1e-6  # share of one rating's weight: rounding error of a trend from which it was subtracted


# Movies by trend, highest first, without the effect of the member's own ratings since `now`: the shelves are
# dealt again for every later page, and the member's ratings must not move movies meanwhile. And the movies
# that the member watched at least in part since `lately`.
TRENDS = sql_of(
    text(
        """
        SELECT array_send(array_agg(movie_id)), array_send(array_agg(trend)), (
            SELECT array_send(array_agg(DISTINCT movie_id)) FROM feedback
            WHERE user_id = :user_id AND kind = 'WATCH' AND occurred_at > CAST(:lately AS timestamptz)
        )
        FROM (
            SELECT top.movie_id, top.trend - coalesce(own.added, 0) AS trend
            FROM (
                SELECT movie_id, trend FROM movie_stats WHERE trend > 0
                ORDER BY trend DESC, movie_id DESC LIMIT :most
            ) AS top LEFT JOIN LATERAL (
                SELECT trend_weight(rated_at) AS added FROM ratings
                WHERE user_id = :user_id AND ratings.movie_id = top.movie_id
                    AND rated_at > CAST(:now AS timestamptz)
            ) AS own ON true
            WHERE top.trend - coalesce(own.added, 0) > :negligible * coalesce(own.added, 0)
            ORDER BY trend DESC, movie_id DESC
        ) AS trending
        """
    )
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
        detail: Detail = Detail.REASONS,
    ) -> ShelfPage:
        """Return the `first` movies of the shelf after `after`, without those of `rated_since`."""
        ids = self.shelving.model.hybrid.item_ids[shelf.item_idx]
        places = [
            place
            for place in shelf.dealt
            if int(ids[place]) not in rated_since and (after is None or self._follows(shelf, place, after))
        ]
        shown = np.array(places[:first], np.int32)
        item_idx = shelf.item_idx[shown]
        promoted, wanted = self.shelving.steered(shelf, item_idx)
        matches = recommend.disclosed(self._matches(shelf, item_idx, detail), promoted, wanted)
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

    def _matches(self, shelf: Shelf, item_idx: NDArray[np.int32], detail: Detail) -> list[Match]:
        """Predict m movies of the shelf. For REDISCOVER, the member's own ratings of them are left out."""
        model = self.shelving.model
        if shelf.kind is not ShelfKind.REDISCOVER:
            subject = None
            if shelf.kind is ShelfKind.BECAUSE_YOU_LIKED and shelf.subject is not None:
                subject = int(model.item_idx([shelf.subject])[0])
            return recommend.predicted(model, self.shelving.history, item_idx, subject, detail)
        history = self.shelving.history_without(shelf.item_idx)
        reasons_of = {int(movie): loved(self.shelving.user, model, int(movie)) for movie in item_idx}
        matches = recommend.predicted(model, history, item_idx, detail=detail)
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
    user: UserHistory | None = None,
    diversity: float = 0.0,
) -> HomePage:
    """Build at most `count` shelves for a member or a visitor as of `now`, in at most two statements.

    `user`: the member's history as of `now`, if it is read already. `diversity`: see `Shelving`.
    """
    if user is None:
        user = NO_HISTORY if user_id is None else await history_of(sessions, user_id, now)
    trends, watched = await trends_for(sessions, user_id, now)

    def made() -> HomePage:
        shelving = shelving_of(snapshot, model, user, now, trends, watched, promotions)
        return put_up(replace(shelving, diversity=diversity), count, per_shelf)

    return await asyncio.to_thread(made)


async def trends_for(
    sessions: Sessions, user_id: int | None, now: datetime
) -> tuple[Trends, NDArray[np.int64]]:
    """The movies by trend with the logarithms of their trends, and those watched within LONG_AGO."""
    row = await sessions.reads.row(
        TRENDS,
        {
            "user_id": user_id,
            "now": now,
            "lately": now - LONG_AGO,
            "most": LONGEST,
            "negligible": NEGLIGIBLE,
        },
    )
    assert row is not None, "an aggregate has a row"
    movie_ids, trends, watched = row
    return (
        (array_in(movie_ids, np.int64), np.log(array_in(trends, np.float64))),
        array_in(watched, np.int64),
    )


def shelving_of(
    snapshot: Snapshot,
    model: Model,
    user: UserHistory,
    now: datetime,
    trends: Trends,
    watched: NDArray[np.int64],
    promotions: Sequence[Promotion],
) -> Shelving:
    steering = Steering.of(snapshot, model, promotions, user.preferences)
    shelving = Shelving(snapshot, model, user, now, trends, steering=steering)
    old = user.movie_ids[shelving.loved_long_ago()]
    return replace(shelving, lately=frozenset(old[np.isin(old, watched)].tolist()))


def put_up(shelving: Shelving, count: int, per_shelf: int) -> HomePage:
    """Make the first `count` shelves and deal movies to them. Shelves that get none are left out."""
    shelves = shelving.shelves(count)
    hands = dealt(shelves, per_shelf)
    return HomePage(
        shelving,
        [replace(shelf, dealt=tuple(hand)) for shelf, hand in zip(shelves, hands, strict=True) if hand],
    )
