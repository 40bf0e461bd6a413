"""Shelves: titled rows of movies on the home page; no movie is on two of them.

A shelf whose title claims that the user will like its movies holds only movies with a match of 50 % or more.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from itertools import islice, zip_longest

import numpy as np
from numpy.typing import NDArray

from app.recommendations.diversity import diversified_first
from app.recommendations.history import UserHistory
from app.recommendations.pins import pinned
from app.recommendations.steering.preferences import Direction
from app.recommendations.steering.steer import UNSTEERED, Steering
from app.recommendations.steering.subjects import SubjectKind, name_of
from app.recommendations.taste_profile import Opinions
from app.serving.model import Model
from app.serving.snapshot import MovieFilter, Snapshot
from recommender.interactions import History
from recommender.model.match import LIKED_STARS
from recommender.model.rerank import discount_impressions
from recommender.steering import steer

LONGEST = 500  # most movies on a shelf
VARIED = 72  # places of a shelf that `diversity` fills: for all it takes 20 ms, as the whole page without it
SHORTEST = 4  # fewest candidates of a shelf
NEIGHBORS = 100  # most movies on a "because you liked" shelf, chosen from the MOST_LOOKED_AT nearest
MOST_LOOKED_AT = 300
PROMISED_PERCENT = 50  # lowest match percent on a shelf that claims the user will like its movies
TOO_CLOSE = 20  # a liked movie among so many nearest ones of another liked movie gets no shelf
LONG_AGO = timedelta(days=365)
MOST_LOVED = 5  # loved movies whose neighbors "rediscover" adds
NEW_DAYS = 730  # counted back from the newest release, so that an old catalog has new releases too
NEW_MOVIES = 60  # latest movies that count as new at any age


class ShelfKind(StrEnum):
    TOP_PICKS = "TOP_PICKS"
    POPULAR = "POPULAR"
    BECAUSE_YOU_LIKED = "BECAUSE_YOU_LIKED"
    GENRE = "GENRE"
    NEW_RELEASES = "NEW_RELEASES"
    TRENDING = "TRENDING"
    REDISCOVER = "REDISCOVER"


FIRST = (ShelfKind.TOP_PICKS, ShelfKind.POPULAR)
BY_SCORE = (*FIRST, ShelfKind.GENRE, ShelfKind.NEW_RELEASES)


@dataclass(frozen=True, slots=True)
class Shelf:
    """Movies in the shelf's own order, which is the same for one user history and model.

    `item_idx` int32 (n,), `scores` float64 (n,). `subject`: id of the movie or genre in the title, else None.
    `dealt`: ascending places in the own order of the movies that this shelf shows.
    """

    kind: ShelfKind
    item_idx: NDArray[np.int32]
    scores: NDArray[np.float64]
    subject: int | None = None
    dealt: tuple[int, ...] = ()


@dataclass(frozen=True)
class Shelving:
    """Makes the shelves for one user as of `now`.

    `trends`: ids int64 (m,) of the movies with the most recent ratings, and their trends float64 (m,),
    descending. `lately`: ids of movies of the history that were watched within LONG_AGO. `genre_names`: the
    order of genre shelves; that of the user's taste if None. `diversity`: from 0 to 1, of the shelves in the
    order of scores; above 0, movies that were shown in vain rank lower too.
    """

    snapshot: Snapshot
    model: Model
    user: UserHistory
    now: datetime
    trends: tuple[NDArray[np.int64], NDArray[np.float64]]
    lately: frozenset[int] = frozenset()
    genre_names: tuple[str, ...] | None = None
    steering: Steering = UNSTEERED
    diversity: float = 0.0

    @cached_property
    def history(self) -> History:
        return self.user.indexed(self.model)

    @cached_property
    def scores(self) -> NDArray[np.float32]:
        """The model's scores for the user, steered, float32 (n_items,)."""
        scores = self.model.hybrid.scores(self.history, self.user.favorite_genres)
        steer(scores, self.steering.added)
        if self.diversity:
            discount_impressions(scores, self.user.shown_in_vain(self.model))
        return scores

    @cached_property
    def allowed(self) -> NDArray[np.bool_]:
        """Movies in the catalog that are not in the user's history and not hidden, bool (n_items,)."""
        allowed = self.model.allowed(np.ones(len(self.snapshot.cards), np.bool_))
        never = self.model.item_idx(np.concatenate((self.user.movie_ids, self.user.hidden)))
        allowed[never[never >= 0]] = False
        return allowed

    def shelves(self, count: int) -> list[Shelf]:
        """Return the first `count` shelves with at least SHORTEST movies."""
        filled = (shelf for shelf in self._plan() if shelf.item_idx.size >= SHORTEST)
        return list(islice(filled, count))

    def _plan(self) -> Iterator[Shelf]:
        """Yield all shelves in page order, including those with too few movies."""
        because, genres = self._because_liked(), self._genres()
        yield self._first()
        yield from islice(because, 1)
        yield from islice(genres, 1)
        yield self._trending()
        yield self.ranked(ShelfKind.NEW_RELEASES, self.allowed & self.model.allowed(self._new()))
        yield self._rediscover()
        for pair in zip_longest(because, genres):
            yield from (shelf for shelf in pair if shelf is not None)

    def _first(self) -> Shelf:
        """TOP_PICKS; POPULAR without a history or with too few movies of a high match. Pins come first."""
        shelf = self.ranked(ShelfKind.TOP_PICKS, self.allowed)
        if not len(self.history) or shelf.item_idx.size < SHORTEST:
            shelf = self.ranked(ShelfKind.POPULAR, self.allowed)
        if not self.pins:
            return shelf
        rest = ~np.isin(shelf.item_idx, self.pins)
        item_idx, scores = shelf.item_idx[rest], shelf.scores[rest]
        return replace(
            shelf,
            item_idx=np.concatenate((np.array(self.pins, np.int32), item_idx)),
            scores=np.concatenate((np.full(len(self.pins), scores.max(initial=0)), scores)),
        )

    @cached_property
    def pins(self) -> list[int]:
        """The pinned items, with which the first shelf begins, whatever their match."""
        return pinned(self.model, self.user, self.history, self.allowed, self.steering)

    def steered(self, shelf: Shelf, items: NDArray[np.int32]) -> tuple[NDArray[np.bool_], list[str | None]]:
        """Which of m movies of the shelf a promotion moved, and the subject that the member asked for."""
        if shelf.kind not in BY_SCORE:
            return np.zeros(items.size, np.bool_), [None] * items.size
        promoted = self.steering.promotes(items, self.pins if shelf.kind in FIRST else ())
        return promoted, self.steering.names_asked_for(items)

    def promised(self, history: History, item_idx: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Movies whose rounded match is PROMISED_PERCENT or more, or unknown, bool (m,)."""
        percent = self.model.hybrid.predict(history, item_idx).match_percent
        return ~(np.rint(percent) < PROMISED_PERCENT)

    def ranked(self, kind: ShelfKind, allowed: NDArray[np.bool_], subject: int | None = None) -> Shelf:
        """Rank the allowed movies. TOP_PICKS and GENRE keep only `promised` movies if there is a history."""
        ranking = self.model.hybrid.ranked(self.scores.copy(), self.history, k=LONGEST, allowed=allowed)
        if self.diversity:
            ranking = diversified_first(self.model, ranking, k=VARIED, diversity=self.diversity)
        item_idx, scores = ranking.item_idx, ranking.scores.astype(np.float64)
        if len(self.history) and kind in (ShelfKind.TOP_PICKS, ShelfKind.GENRE):
            kept = self.promised(self.history, item_idx)
            item_idx, scores = item_idx[kept], scores[kept]
        return Shelf(kind, item_idx, scores, subject)

    def _because_liked(self) -> Iterator[Shelf]:
        """Yield a shelf for each liked movie, the last rated first.

        A movie near one that already has a shelf is skipped.
        """
        history = self.history
        ids = self.model.hybrid.item_ids[history.item_idx]
        latest = np.lexsort((ids, -history.stars, -history.timestamps))
        near: set[int] = set()
        for liked in history.item_idx[latest[history.stars[latest] >= LIKED_STARS]].tolist():
            if liked not in near and self.model.snapshot_idx[liked] >= 0:
                around, _ = self.model.hybrid.similar(liked, k=TOO_CLOSE)
                near.update(around.tolist())
                subject = int(self.model.hybrid.item_ids[liked])
                yield Shelf(ShelfKind.BECAUSE_YOU_LIKED, *self._because(liked), subject)

    def _because(self, liked: int) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Movies near a liked one that are `promised` and whose score the liked one raises, with cosines."""
        item_idx, cosines = self.model.hybrid.similar(liked, k=MOST_LOOKED_AT, allowed=self.allowed)
        kept = self.promised(self.history, item_idx)
        kept[kept] = self.model.hybrid.moved_by(self.history, item_idx[kept], liked)
        places = np.flatnonzero(kept)[:NEIGHBORS]
        if self.steering.wishes is not None:  # what the member asked for less of comes last
            less = self.steering.wishes[item_idx[places]] < 0
            places = places[np.argsort(less, kind="stable")]
        return item_idx[places], cosines[places].astype(np.float64)

    @cached_property
    def genres_in_order(self) -> tuple[str, ...]:
        """Names of genres: first favorites, then liked genres, then the most rated.

        Genres that the member wants more of come before them, and those that the member wants less of last.
        """
        if self.genre_names is not None:
            return self.genre_names
        opinions = Opinions.of(self.snapshot, self.user.movie_ids, self.user.stars, self.user.rated)
        rated = self.snapshot.facts.has_genre @ self.snapshot.rating_count
        more, less = self._wished_genres(Direction.MORE), self._wished_genres(Direction.LESS)
        in_order = [
            *more,
            *self.user.favorite_genres,
            *(liking.of.name for liking in opinions.genres() if liking.affinity > 0),
            *(self.snapshot.genres[row].name for row in np.argsort(-rated, kind="stable")),
        ]
        return tuple(dict.fromkeys([*(name for name in in_order if name not in less), *less]))

    def _wished_genres(self, direction: Direction) -> list[str]:
        wished = [each.subject for each in self.user.preferences if each.direction is direction]
        names = (name_of(self.snapshot, of) for of in wished if of.kind is SubjectKind.GENRE)
        return [name for name in names if name is not None]

    def _genres(self) -> Iterator[Shelf]:
        """Yield a shelf for each genre of the catalog."""
        names = {genre.name: genre for genre in self.snapshot.genres}
        for name in filter(names.__contains__, self.genres_in_order):
            of_genre = self.model.allowed(self.snapshot.mask(MovieFilter(genres=(name,))))
            yield self.ranked(ShelfKind.GENRE, self.allowed & of_genre, names[name].id)

    def _trending(self) -> Shelf:
        movie_ids, trends = self.trends
        item_idx = self.model.item_idx(movie_ids)
        shown = (item_idx >= 0) & self.allowed[item_idx]
        return Shelf(ShelfKind.TRENDING, item_idx[shown], trends[shown])

    def _new(self) -> NDArray[np.bool_]:
        """Movies released within NEW_DAYS of the newest release, or among the NEW_MOVIES latest.

        bool (n,) over the snapshot. Movies of the future do not count.
        """
        days = self.snapshot.facts.release_days
        released: NDArray[np.bool_] = days <= self.now.date().toordinal()  # False where the day is unknown
        if not released.any():
            return released
        newest = np.sort(days[released])[::-1]
        return np.asarray(released & (days >= min(newest[0] - NEW_DAYS, newest[:NEW_MOVIES][-1])))

    def loved_long_ago(self) -> NDArray[np.intp]:
        """Places in the history of movies rated LIKED_STARS or more before LONG_AGO, most stars first."""
        user, rated = self.user, self.user.rated
        before = int((self.now - LONG_AGO).timestamp())
        here = self.model.item_idx(user.movie_ids[:rated])
        loved = (
            (user.stars[:rated] >= LIKED_STARS)
            & (user.timestamps[:rated] < before)
            & ~np.isin(user.movie_ids[:rated], user.hidden[rated:])
            & (here >= 0)
            & (self.model.snapshot_idx[here] >= 0)
        )
        places = np.flatnonzero(loved)
        return places[np.lexsort((user.timestamps[places], -user.stars[places]))]

    def _rediscover(self) -> Shelf:
        """Movies that the member loved long ago and has not watched lately, most stars first.

        The unseen movies nearest to the first MOST_LOVED of them follow.
        """
        places = self.loved_long_ago()
        if self.lately:
            places = places[~np.isin(self.user.movie_ids[places], list(self.lately))]
        loved = self.model.item_idx(self.user.movie_ids[places])[:LONGEST]
        found: dict[int, float] = {}
        for movie in loved[:MOST_LOVED].tolist():
            item_idx, cosines = self.model.hybrid.similar(movie, k=TOO_CLOSE, allowed=self.allowed)
            for other, cosine in zip(item_idx.tolist(), cosines.tolist(), strict=True):
                found[other] = max(cosine, found.get(other, cosine))
        like_them = sorted(found, key=lambda movie: (-found[movie], movie))
        stars = self.user.stars[places[:LONGEST]].tolist()
        item_idx = np.concatenate((loved, np.array(like_them, np.int32)))
        scores = np.array([*stars, *(found[movie] for movie in like_them)], np.float64)
        kept = self.promised(self.history_without(item_idx), item_idx)
        return Shelf(ShelfKind.REDISCOVER, item_idx[kept], scores[kept])

    def history_without(self, item_idx: NDArray[np.int32]) -> History:
        """The history without these movies."""
        history = self.history
        kept = ~np.isin(history.item_idx, item_idx)
        return History(history.item_idx[kept], history.stars[kept], history.timestamps[kept])
