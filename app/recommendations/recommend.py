"""The one meeting point of data and numerics: a history from Postgres, a ranking from the recommender."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from app.recommendations.history import Taste
from app.serving.model import Model
from app.serving.snapshot import MovieFilter, Snapshot
from recommender.interactions import History

REASONS_PER_MOVIE = 2


class Strategy(StrEnum):
    """PERSONALIZED from a member's own history, SESSION from a visitor's likes, POPULAR from neither."""

    PERSONALIZED = "PERSONALIZED"
    SESSION = "SESSION"
    POPULAR = "POPULAR"


@dataclass(frozen=True, slots=True)
class Reason:
    kind: str
    detail: str
    movie_id: int | None


@dataclass(frozen=True, slots=True)
class Match:
    """What the model says of one movie for one person. Stars are None where it knows nothing of the movie."""

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

    Movies rated since the list was first shown keep their rank, so that the others do not move, but are
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
    reasons = model.hybrid.reasons(history, item_idx, limit=REASONS_PER_MOVIE, subject=subject)
    ids = model.hybrid.item_ids
    return [
        Match(
            match_percent=None if np.isnan(percent) else round(float(percent)),
            stars=known(stars),
            low=known(low),
            high=known(high),
            reasons=tuple(
                Reason(why.kind, why.detail, None if why.item_idx is None else int(ids[why.item_idx]))
                for why in movie_reasons
            ),
        )
        for percent, stars, low, high, movie_reasons in zip(
            judgement.match_percent, judgement.stars, judgement.low, judgement.high, reasons, strict=True
        )
    ]


def known(stars: np.float32) -> float | None:
    return None if np.isnan(stars) else round(float(stars), 2)


def matches(model: Model, taste: Taste, movie_ids: Sequence[int]) -> list[Match | None]:
    """Each movie for one taste, as if they had not rated it; None for a movie the model does not know."""
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
