"""The one meeting point of data and numerics: a history from Postgres, a ranking from the recommender."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from app import feedback, members, ratings
from app.db import Sessions
from app.feedback import Signals
from app.snapshot import MovieFilter, Snapshot
from recommender.films import Films
from recommender.hybrid import Hybrid
from recommender.interactions import History, positions
from recommender.new_films import with_films

REASONS_PER_FILM = 2
LIKED_STARS = 5.0
BEFORE = datetime.min.replace(tzinfo=UTC)


class Strategy(StrEnum):
    """PERSONALIZED from a member's own history, SESSION from a visitor's likes, POPULAR from neither."""

    PERSONALIZED = "PERSONALIZED"
    SESSION = "SESSION"
    POPULAR = "POPULAR"


@dataclass(frozen=True, slots=True)
class Model:
    """A trained model, aligned with one snapshot of the catalogue.

    `snapshot_idx` int32 (n_items,): where each of the model's films stands in the snapshot; -1 for one that
    has been deleted since. `learnt_at`: films are known as they were then. `since`: when this process began
    to make lists with it as it is here.
    """

    version: str
    hybrid: Hybrid
    learnt_at: datetime
    snapshot_idx: NDArray[np.int32]
    since: datetime = BEFORE

    @classmethod
    def load(cls, folder: Path, learnt_at: datetime) -> Self:
        return cls(folder.name, Hybrid.load(folder), learnt_at, np.empty(0, np.int32))

    def with_new_films(self, films: Films, learnt_at: datetime) -> Self:
        return replace(self, hybrid=with_films(self.hybrid, films), learnt_at=learnt_at)

    def aligned(self, snapshot: Snapshot) -> Self:
        return replace(self, snapshot_idx=positions(snapshot.movie_ids, self.hybrid.item_ids))

    def item_idx(self, movie_ids: NDArray[np.int64] | Sequence[int]) -> NDArray[np.int32]:
        """Indices of films in the model; -1 for one it does not know."""
        return positions(self.hybrid.item_ids, np.asarray(movie_ids, np.int64))

    def allowed(self, snapshot_mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """A mask over the snapshot's films as one over the model's."""
        return (self.snapshot_idx >= 0) & snapshot_mask[self.snapshot_idx]


@dataclass(frozen=True, slots=True)
class Taste:
    """What is known of whoever asks, read from Postgres when they ask.

    `movie_ids` int64 (n,), `stars` float32 (n,), `timestamps` int64 (n,): ratings, and events as graded
    observations, of which the first `rated` are the ratings. `hidden` int64: films never to be shown, those
    rated and those turned down. `shown`, where it was read: ids int64 (s,) of films shown of late and let be,
    and int32 (s,) how often.
    """

    movie_ids: NDArray[np.int64]
    stars: NDArray[np.float32]
    timestamps: NDArray[np.int64]
    hidden: NDArray[np.int64]
    favorite_genres: tuple[str, ...] = ()
    rated: int = 0
    shown: tuple[NDArray[np.int64], NDArray[np.int32]] | None = None

    @classmethod
    def of(cls, history: ratings.History, signals: Signals, favorite_genres: tuple[str, ...]) -> Self:
        rated_ids, half_stars, rated_at = history
        return cls(
            movie_ids=np.concatenate((rated_ids, signals.movie_ids)),
            stars=np.concatenate((half_stars.astype(np.float32) / 2, signals.stars)),
            timestamps=np.concatenate((rated_at, signals.timestamps)),
            hidden=np.concatenate((rated_ids, signals.hidden)),
            favorite_genres=favorite_genres,
            rated=rated_ids.size,
            shown=signals.shown,
        )

    def history(self, model: Model, leaving_out: int | None = None) -> History:
        item_idx = model.item_idx(self.movie_ids)
        known = (item_idx >= 0) & (self.movie_ids != leaving_out)
        return History(item_idx[known], self.stars[known], self.timestamps[known])

    def shown_in_vain(self, model: Model) -> NDArray[np.float32] | None:
        """float32 (n_items,): how often each film was shown; None where that was not read, or none was."""
        if self.shown is None:
            return None
        movie_ids, times = self.shown
        item_idx = model.item_idx(movie_ids)
        shown = np.zeros(model.hybrid.n_items, np.float32)
        shown[item_idx[item_idx >= 0]] = times[item_idx >= 0]
        return shown


@dataclass(frozen=True, slots=True)
class Reason:
    kind: str
    detail: str
    movie_id: int | None


@dataclass(frozen=True, slots=True)
class Match:
    """What the model says of one film for one person. Stars are None where it knows nothing of the film."""

    match_percent: int | None
    stars: float | None
    low: float | None
    high: float | None
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Pick:
    movie_id: int
    rank: int
    score: float
    match: Match


@dataclass(frozen=True, slots=True)
class Picks:
    strategy: Strategy
    picks: list[Pick]
    has_next: bool


@dataclass(frozen=True, slots=True)
class Wish:
    """What a caller asks of a list, beyond who they are."""

    filter: MovieFilter = field(default_factory=MovieFilter)
    diversity: float = 0.0
    novelty: float = 0.0
    exclude: tuple[int, ...] = ()


async def taste_of(
    sessions: Sessions, user_id: int, until: datetime | None = None, *, shown: bool = False
) -> Taste:
    """A user's taste as of `until`, so that a later page continues the list that was shown.

    `shown`: also what they were shown in vain, for lists with diversity; no further statement.
    """
    async with sessions() as session:
        history = await ratings.history(session, user_id, until)
        signals = await feedback.signals(session, user_id, until, shown=shown)
        genres = await members.favorite_genre_names(session, user_id)
    return Taste.of(history, signals, genres)


def taste_for_likes(likes: Sequence[int]) -> Taste:
    movie_ids = np.unique(np.asarray(likes, np.int64))
    return Taste(
        movie_ids,
        np.full(movie_ids.size, LIKED_STARS, np.float32),
        np.zeros(movie_ids.size, np.int64),
        movie_ids,
    )


NOBODYS = taste_for_likes(())


def recommend(
    snapshot: Snapshot,
    model: Model,
    taste: Taste,
    wish: Wish,
    *,
    signed_in: bool,
    first: int,
    after_rank: int = 0,
    rated_since: NDArray[np.int64] | None = None,
) -> Picks:
    """Ranks `after_rank` + 1 and on of the list for this taste.

    Films rated since the list was first shown keep their rank, so that the others do not move, but are
    left out.
    """
    history = taste.history(model)
    allowed = model.allowed(snapshot.mask(wish.filter))
    never = model.item_idx(np.concatenate((taste.hidden, np.asarray(wish.exclude, np.int64))))
    allowed[never[never >= 0]] = False
    skipped = model.item_idx(np.empty(0, np.int64) if rated_since is None else rated_since)
    ranking = model.hybrid.recommend(
        history,
        k=after_rank + first + skipped.size + 1,
        allowed=allowed,
        diversity=wish.diversity,
        favorite_genres=taste.favorite_genres,
        shown=taste.shown_in_vain(model),
        novelty=wish.novelty,
    )
    ranks = np.arange(after_rank, ranking.item_idx.size)
    ranks = ranks[~np.isin(ranking.item_idx[ranks], skipped)]
    shown = ranks[:first]
    item_idx = ranking.item_idx[shown]
    matches = judged(model, history, item_idx)
    picks = [
        Pick(int(movie_id), int(rank) + 1, float(score), match)
        for movie_id, rank, score, match in zip(
            model.hybrid.item_ids[item_idx], shown, ranking.scores[shown], matches, strict=True
        )
    ]
    return Picks(strategy_of(history, signed_in=signed_in), picks, has_next=ranks.size > first)


def strategy_of(history: History, *, signed_in: bool) -> Strategy:
    if not len(history):
        return Strategy.POPULAR
    return Strategy.PERSONALIZED if signed_in else Strategy.SESSION


def judged(
    model: Model, history: History, item_idx: NDArray[np.int32], subject: int | None = None
) -> list[Match]:
    """Predictions and reasons for m movies; where it is true, the first reason names item `subject`."""
    judgement = model.hybrid.judge(history, item_idx)
    reasons = model.hybrid.reasons(history, item_idx, limit=REASONS_PER_FILM, subject=subject)
    ids = model.hybrid.item_ids
    return [
        Match(
            match_percent=None if np.isnan(percent) else round(float(percent)),
            stars=known(stars),
            low=known(low),
            high=known(high),
            reasons=tuple(
                Reason(why.kind, why.detail, None if why.item_idx is None else int(ids[why.item_idx]))
                for why in film_reasons
            ),
        )
        for percent, stars, low, high, film_reasons in zip(
            judgement.match_percent, judgement.stars, judgement.low, judgement.high, reasons, strict=True
        )
    ]


def known(stars: np.float32) -> float | None:
    return None if np.isnan(stars) else round(float(stars), 2)


def matches(model: Model, taste: Taste, movie_ids: Sequence[int]) -> list[Match | None]:
    """Each film for one taste, as if they had not rated it; None for a film the model does not know."""
    item_idx = model.item_idx(movie_ids)
    found: list[Match | None] = [None] * len(movie_ids)
    rated = np.isin(np.asarray(movie_ids, np.int64), taste.movie_ids)
    fresh = np.flatnonzero((item_idx >= 0) & ~rated)
    for place, match in zip(
        fresh.tolist(), judged(model, taste.history(model), item_idx[fresh]), strict=True
    ):
        found[place] = match
    for place in np.flatnonzero((item_idx >= 0) & rated).tolist():
        rest = taste.history(model, leaving_out=movie_ids[place])
        (found[place],) = judged(model, rest, item_idx[place : place + 1])
    return found
