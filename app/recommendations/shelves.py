"""Shelves: orders of movies under a title, dealt so that no movie stands on two of them.

A shelf that promises a liking holds only movies that the prediction promises too: of a match of 50 % or more.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from itertools import islice, zip_longest

import numpy as np
from numpy.typing import NDArray

from app.recommendations.history import Taste
from app.recommendations.taste_profile import Opinions
from app.serving.model import Model
from app.serving.snapshot import MovieFilter, Snapshot
from recommender.interactions import History

LONGEST = 500  # movies that a shelf goes on to
SHORTEST = 4  # candidates without which a shelf is not put up
NEIGHBORS = 100  # movies on the shelf of another one, of the MOST_LOOKED_AT nearest
MOST_LOOKED_AT = 300
PROMISED_PERCENT = 50  # the least match percent of a movie on a shelf that promises a liking
TOO_CLOSE = 20  # a movie among so many nearest ones of another has no shelf beside its
LIKED_STARS = 4.0
LONG_AGO = timedelta(days=365)
MOST_LOVED = 5  # movies that "rediscover" looks for others like
NEW_DAYS = 730  # before the newest release: a catalogue that ends years ago has new releases too
NEW_MOVIES = 60  # that are new whatever their age


class Kind(StrEnum):
    TOP_PICKS = "TOP_PICKS"
    POPULAR = "POPULAR"
    BECAUSE_YOU_LIKED = "BECAUSE_YOU_LIKED"
    GENRE = "GENRE"
    NEW_RELEASES = "NEW_RELEASES"
    TRENDING = "TRENDING"
    REDISCOVER = "REDISCOVER"


@dataclass(frozen=True, slots=True)
class Shelf:
    """`item_idx` int32 (n,), `scores` float64 (n,): the shelf's own order, the same for one taste and model.

    `subject`: id of the movie or genre that it is about, else None. `dealt`, ascending: the places of its own
    order whose movies are this shelf's and no other's.
    """

    kind: Kind
    item_idx: NDArray[np.int32]
    scores: NDArray[np.float64]
    subject: int | None = None
    dealt: tuple[int, ...] = ()


@dataclass(frozen=True)
class Shelving:
    """What shelves are made from: the taste of one member, or of nobody, as of `now`.

    `trends`: ids int64 (m,) of the movies most rated of late, and their trends float64 (m,), descending.
    `lately`: movies of the taste that were watched within LONG_AGO.
    """

    snapshot: Snapshot
    model: Model
    taste: Taste
    now: datetime
    trends: tuple[NDArray[np.int64], NDArray[np.float64]]
    lately: frozenset[int] = frozenset()

    @cached_property
    def history(self) -> History:
        return self.taste.history(self.model)

    @cached_property
    def scores(self) -> NDArray[np.float32]:
        """float32 (n_items,): what orders each list for this taste."""
        return self.model.hybrid.scores(self.history, self.taste.favorite_genres)

    @cached_property
    def allowed(self) -> NDArray[np.bool_]:
        """bool (n_items,): movies that are in the catalogue, not known to the member and not turned down."""
        allowed = self.model.allowed(np.ones(len(self.snapshot.cards), np.bool_))
        never = self.model.item_idx(np.concatenate((self.taste.movie_ids, self.taste.hidden)))
        allowed[never[never >= 0]] = False
        return allowed

    def shelves(self, count: int) -> list[Shelf]:
        """The first `count` shelves that have movies enough."""
        filled = (shelf for shelf in self._plan() if shelf.item_idx.size >= SHORTEST)
        return list(islice(filled, count))

    def _plan(self) -> Iterator[Shelf]:
        """All shelves in their order on the page, those that turn out too empty among them."""
        because, genres = self._because_liked(), self._genres()
        yield self._first()
        yield from islice(because, 1)
        yield from islice(genres, 1)
        yield self._trending()
        yield self.ranked(Kind.NEW_RELEASES, self.allowed & self.model.allowed(self._new()))
        yield self._rediscover()
        for pair in zip_longest(because, genres):
            yield from (shelf for shelf in pair if shelf is not None)

    def _first(self) -> Shelf:
        """The member's own list; the popular one for nobody, and where nothing can be promised."""
        picks = self.ranked(Kind.TOP_PICKS, self.allowed)
        if len(self.history) and picks.item_idx.size >= SHORTEST:
            return picks
        return self.ranked(Kind.POPULAR, self.allowed)

    def promised(self, history: History, item_idx: NDArray[np.int32]) -> NDArray[np.bool_]:
        """bool (m,): movies of a match of PROMISED_PERCENT or more, as it is shown, or of an unknown one."""
        percent = self.model.hybrid.judge(history, item_idx).match_percent
        return ~(np.rint(percent) < PROMISED_PERCENT)

    def ranked(self, kind: Kind, allowed: NDArray[np.bool_], subject: int | None = None) -> Shelf:
        """The model's list for this taste; for a member's, those of it that can be promised."""
        ranking = self.model.hybrid.ranked(self.scores.copy(), self.history, k=LONGEST, allowed=allowed)
        item_idx, scores = ranking.item_idx, ranking.scores.astype(np.float64)
        if len(self.history) and kind in (Kind.TOP_PICKS, Kind.GENRE):
            kept = self.promised(self.history, item_idx)
            item_idx, scores = item_idx[kept], scores[kept]
        return Shelf(kind, item_idx, scores, subject)

    def _because_liked(self) -> Iterator[Shelf]:
        """For each movie liked, the last first, the nearest others; not for movies that are near each
        other."""
        history = self.history
        ids = self.model.hybrid.item_ids[history.item_idx]
        latest = np.lexsort((ids, -history.stars, -history.timestamps))
        near: set[int] = set()
        for liked in history.item_idx[latest[history.stars[latest] >= LIKED_STARS]].tolist():
            if liked not in near and self.model.snapshot_idx[liked] >= 0:
                around, _ = self.model.hybrid.similar(liked, k=TOO_CLOSE)
                near.update(around.tolist())
                subject = int(self.model.hybrid.item_ids[liked])
                yield Shelf(Kind.BECAUSE_YOU_LIKED, *self._because(liked), subject)

    def _because(self, liked: int) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """The movies nearest to a liked one that are promised, and whose score the liked one raises."""
        item_idx, cosines = self.model.hybrid.similar(liked, k=MOST_LOOKED_AT, allowed=self.allowed)
        kept = self.promised(self.history, item_idx)
        kept[kept] = self.model.hybrid.moved_by(self.history, item_idx[kept], liked)
        return item_idx[kept][:NEIGHBORS], cosines[kept][:NEIGHBORS].astype(np.float64)

    def _genres(self) -> Iterator[Shelf]:
        """For each genre, those chosen first, then the liked ones, then those that members rate most."""
        names = {genre.name: genre for genre in self.snapshot.genres}
        opinions = Opinions.of(self.snapshot, self.taste.movie_ids, self.taste.stars, self.taste.rated)
        rated = self.snapshot.facts.has_genre @ self.snapshot.rating_count
        wanted = [
            *self.taste.favorite_genres,
            *(liking.of.name for liking in opinions.genres() if liking.affinity > 0),
            *(self.snapshot.genres[row].name for row in np.argsort(-rated, kind="stable")),
        ]
        for name in dict.fromkeys(name for name in wanted if name in names):
            of_genre = self.model.allowed(self.snapshot.mask(MovieFilter(genres=(name,))))
            yield self.ranked(Kind.GENRE, self.allowed & of_genre, names[name].id)

    def _trending(self) -> Shelf:
        movie_ids, trends = self.trends
        item_idx = self.model.item_idx(movie_ids)
        shown = (item_idx >= 0) & self.allowed[item_idx]
        return Shelf(Kind.TRENDING, item_idx[shown], trends[shown])

    def _new(self) -> NDArray[np.bool_]:
        """bool (n,) over the snapshot: movies released up to now, and not long before the newest of them."""
        days = self.snapshot.facts.release_days
        released: NDArray[np.bool_] = days <= self.now.date().toordinal()  # False where the day is unknown
        if not released.any():
            return released
        newest = np.sort(days[released])[::-1]
        return np.asarray(released & (days >= min(newest[0] - NEW_DAYS, newest[:NEW_MOVIES][-1])))

    def loved_long_ago(self) -> NDArray[np.intp]:
        """Places in the taste of movies rated LIKED_STARS or more a year or longer ago, most stars first."""
        taste, rated = self.taste, self.taste.rated
        before = int((self.now - LONG_AGO).timestamp())
        here = self.model.item_idx(taste.movie_ids[:rated])
        loved = (
            (taste.stars[:rated] >= LIKED_STARS)
            & (taste.timestamps[:rated] < before)
            & ~np.isin(taste.movie_ids[:rated], taste.hidden[rated:])
            & (here >= 0)
            & (self.model.snapshot_idx[here] >= 0)
        )
        places = np.flatnonzero(loved)
        return places[np.lexsort((taste.timestamps[places], -taste.stars[places]))]

    def _rediscover(self) -> Shelf:
        """Movies that the member loved long ago and has not watched since, most preferred first.

        The movies nearest to these among those they do not know follow.
        """
        places = self.loved_long_ago()
        if self.lately:
            places = places[~np.isin(self.taste.movie_ids[places], list(self.lately))]
        loved = self.model.item_idx(self.taste.movie_ids[places])[:LONGEST]
        found: dict[int, float] = {}
        for movie in loved[:MOST_LOVED].tolist():
            item_idx, cosines = self.model.hybrid.similar(movie, k=TOO_CLOSE, allowed=self.allowed)
            for other, cosine in zip(item_idx.tolist(), cosines.tolist(), strict=True):
                found[other] = max(cosine, found.get(other, cosine))
        like_them = sorted(found, key=lambda movie: (-found[movie], movie))
        stars = self.taste.stars[places[:LONGEST]].tolist()
        item_idx = np.concatenate((loved, np.array(like_them, np.int32)))
        scores = np.array([*stars, *(found[movie] for movie in like_them)], np.float64)
        kept = self.promised(self.history_without(item_idx), item_idx)
        return Shelf(Kind.REDISCOVER, item_idx[kept], scores[kept])

    def history_without(self, item_idx: NDArray[np.int32]) -> History:
        """The history as if the member had not met these movies."""
        history = self.history
        apart = ~np.isin(history.item_idx, item_idx)
        return History(history.item_idx[apart], history.stars[apart], history.timestamps[apart])


def dealt(shelves: Sequence[Shelf], per_shelf: int) -> list[list[int]]:
    """For each shelf the places of its own order that it gets, so that no movie is dealt to two.

    In rounds: each shelf in turn takes its next `per_shelf` movies that none has taken, until all orders are
    at their end. So a shelf can be continued as far as anyone likes, and still no movie stands on two.
    """
    taken: set[int] = set()
    orders = [enumerate(shelf.item_idx.tolist()) for shelf in shelves]
    hands: list[list[int]] = [[] for _ in shelves]
    while True:
        before = len(taken)
        for hand, order in zip(hands, orders, strict=True):
            for place, movie in islice(((at, movie) for at, movie in order if movie not in taken), per_shelf):
                taken.add(movie)
                hand.append(place)
        if len(taken) == before:
            return hands
