"""Personal recommendations: rank movies for a history and predict the match of each."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum

import numpy as np
from numpy.typing import NDArray

from app.recommendations.history import UserHistory
from app.recommendations.pins import Listed, pinned
from app.recommendations.steering.promotions import Promotion
from app.recommendations.steering.steer import UNSTEERED, Steering
from app.serving.model import Model
from app.serving.snapshot import MovieFilter, Snapshot
from recommender.exploration import POOL
from recommender.interactions import History
from recommender.model.explain import Reason as HybridReason
from recommender.model.scorer import Ranking

REASONS_PER_MOVIE = 2
PROMOTED, ASKED_FOR = "PROMOTED", "ASKED_FOR"


class Strategy(StrEnum):
    """Basis of a list: PERSONALIZED a member's history, SESSION a visitor's likes, POPULAR neither."""

    PERSONALIZED = "PERSONALIZED"
    SESSION = "SESSION"
    POPULAR = "POPULAR"


class Detail(IntEnum):
    """The parts of a Match to make; reasons cost more than the rest of a list."""

    NOTHING = 0
    PREDICTIONS = 1
    REASONS = 2


@dataclass(frozen=True, slots=True)
class Reason:
    kind: str
    detail: str
    movie_id: int | None


@dataclass(frozen=True, slots=True)
class Match:
    """The prediction of one movie for one user.

    Numbers are None where the model cannot predict them, or where they were not asked for.
    `low` and `high` bound the 80 % interval of `stars`.
    """

    match_percent: int | None
    stars: float | None
    low: float | None
    high: float | None
    reasons: tuple[Reason, ...]


UNKNOWN = Match(None, None, None, None, ())


@dataclass(frozen=True, slots=True)
class Pick:
    movie_id: int
    rank: int
    score: float
    match: Match
    propensity: float | None = None  # of a list with exploration; 1 for a pin
    promoted: bool = False  # a promotion decided the place: no outcome of the model, nor of an experiment


@dataclass(frozen=True, slots=True)
class Picks:
    strategy: Strategy
    picks: list[Pick]
    has_next: bool


@dataclass(frozen=True, slots=True)
class Wish:
    """Parameters of a list: filter, diversity and novelty from 0 to 1, and ids of movies to leave out.

    `exploration`: probability, from 0 to 1, that a place has a random movie of the first POOL, by `seed`.
    """

    filter: MovieFilter = field(default_factory=MovieFilter)
    diversity: float = 0.0
    novelty: float = 0.0
    exclude: tuple[int, ...] = ()
    exploration: float = 0.0
    seed: int = 0


def recommend(
    snapshot: Snapshot,
    model: Model,
    user: UserHistory,
    wish: Wish,
    *,
    signed_in: bool,
    first: int,
    after_rank: int = 0,
    rated_since: NDArray[np.int64] | None = None,
    promotions: Sequence[Promotion] = (),
    detail: Detail = Detail.REASONS,
) -> Picks:
    """Return the `first` picks of the user's list after `after_rank`.

    Movies of `rated_since`, rated after the first page was shown, are left out. Their ranks stay empty, so
    the other movies keep theirs.
    """
    allowed = model.allowed(snapshot.mask(wish.filter))
    return recommend_from(
        allowed,
        model,
        user,
        wish,
        signed_in=signed_in,
        first=first,
        after_rank=after_rank,
        rated_since=rated_since,
        steering=Steering.of(snapshot, model, promotions, user.preferences),
        detail=detail,
    )


def recommend_from(
    allowed: NDArray[np.bool_],
    model: Model,
    user: UserHistory,
    wish: Wish,
    *,
    signed_in: bool,
    first: int,
    after_rank: int = 0,
    rated_since: NDArray[np.int64] | None = None,
    steering: Steering = UNSTEERED,
    detail: Detail = Detail.REASONS,
) -> Picks:
    """Recommend from the items that pass the filter, bool (n_items,), which is overwritten."""
    history = user.indexed(model)
    forbid(allowed, model, user, wish)
    pins = pinned(model, user, history, allowed, steering)
    allowed[pins] = False
    skipped = model.item_idx(np.empty(0, np.int64) if rated_since is None else rated_since)
    ranking = ranking_of(allowed, model, user, wish, after_rank + first + skipped.size + 1, steering.added)
    listed = Listed.of(ranking, wish.exploration, wish.seed, pins)
    ranks = np.arange(after_rank, listed.item_idx.size)
    ranks = ranks[~np.isin(listed.item_idx[ranks], skipped)]
    shown = ranks[:first]
    promoted = steering.promotes(listed.item_idx[shown], pins)
    wanted = steering.names_asked_for(listed.item_idx[shown])
    predictions = predicted(model, history, listed.item_idx[shown], detail=detail)
    matches = disclosed(predictions, promoted, wanted)
    picks = [
        Pick(
            int(model.hybrid.item_ids[listed.item_idx[rank]]),
            int(rank) + 1,
            float(listed.scores[rank]),
            match,
            None if listed.propensities is None else float(listed.propensities[rank]),
            bool(of_promotion),
        )
        for rank, match, of_promotion in zip(shown, matches, promoted, strict=True)
    ]
    return Picks(strategy_of(history, signed_in=signed_in), picks, has_next=ranks.size > first)


def disclosed(
    matches: list[Match], promoted: NDArray[np.bool_], wanted: Sequence[str | None] = ()
) -> list[Match]:
    """The matches, with the reasons of promotions and of the member's wishes first.

    promoted: bool (m,), where a promotion decided the place. wanted: the subject that the member asked for.
    """
    if not promoted.any() and not any(wanted):
        return matches
    promotion = Reason(PROMOTED, "", None)
    found = []
    for match, of_promotion, name in zip(
        matches, promoted.tolist(), wanted or [None] * len(matches), strict=True
    ):
        first = [promotion] * of_promotion + ([Reason(ASKED_FOR, name, None)] if name else [])
        found.append(replace(match, reasons=(*first, *match.reasons)[:REASONS_PER_MOVIE]) if first else match)
    return found


def forbid(allowed: NDArray[np.bool_], model: Model, user: UserHistory, wish: Wish) -> None:
    """Take out of `allowed`, bool (n_items,), what the user has rejected and what the wish leaves out."""
    never = model.item_idx(np.concatenate((user.hidden, np.asarray(wish.exclude, np.int64))))
    allowed[never[never >= 0]] = False


def ranking_of(
    allowed: NDArray[np.bool_],
    model: Model,
    user: UserHistory,
    wish: Wish,
    first: int,
    added: NDArray[np.float32] | None = None,
) -> Ranking:
    """The `first` items of the user's list, at least POOL with exploration, in the order of their scores.

    `allowed`: bool (n_items,). `added`: to scores, see `Steering.added`.
    """
    return model.hybrid.recommend(
        user.indexed(model),
        k=max(first, POOL if wish.exploration else 0),
        allowed=allowed,
        diversity=wish.diversity,
        favorite_genres=user.favorite_genres,
        shown=user.shown_in_vain(model),
        novelty=wish.novelty,
        added=added,
    )


def strategy_of(history: History, *, signed_in: bool) -> Strategy:
    if not len(history):
        return Strategy.POPULAR
    return Strategy.PERSONALIZED if signed_in else Strategy.SESSION


def predicted(
    model: Model,
    history: History,
    item_idx: NDArray[np.int32],
    subject: int | None = None,
    detail: Detail = Detail.REASONS,
) -> list[Match]:
    """Predict m movies, with reasons. A true reason that names item `subject` comes first."""
    if detail is Detail.NOTHING:
        return [UNKNOWN] * len(item_idx)
    predictions = model.hybrid.predict(history, item_idx)
    reasons: list[list[HybridReason]] = [[]] * len(item_idx)
    if detail is Detail.REASONS:
        reasons = model.hybrid.reasons(history, item_idx, limit=REASONS_PER_MOVIE, subject=subject)
    ids = model.hybrid.item_ids
    return [
        Match(
            match_percent=None if np.isnan(percent) else round(float(percent)),
            stars=rounded(stars),
            low=rounded(low),
            high=rounded(high),
            reasons=tuple(
                Reason(
                    reason.kind, reason.detail, None if reason.item_idx is None else int(ids[reason.item_idx])
                )
                for reason in movie_reasons
            ),
        )
        for percent, stars, low, high, movie_reasons in zip(
            predictions.match_percent,
            predictions.stars,
            predictions.low,
            predictions.high,
            reasons,
            strict=True,
        )
    ]


def rounded(stars: np.float32) -> float | None:
    """Round to two decimals; nan becomes None."""
    return None if np.isnan(stars) else round(float(stars), 2)


def matches(model: Model, user: UserHistory, movie_ids: Sequence[int]) -> list[Match | None]:
    """Predict movies for a user; the user's own rating of a movie is left out of its prediction.

    None for a movie that is not in the model.
    """
    item_idx = model.item_idx(movie_ids)
    found: list[Match | None] = [None] * len(movie_ids)
    rated = np.isin(np.asarray(movie_ids, np.int64), user.movie_ids)
    fresh = np.flatnonzero((item_idx >= 0) & ~rated)
    for place, match in zip(
        fresh.tolist(), predicted(model, user.indexed(model), item_idx[fresh]), strict=True
    ):
        found[place] = match
    for place in np.flatnonzero((item_idx >= 0) & rated).tolist():
        rest = user.indexed(model, leaving_out=movie_ids[place])
        (found[place],) = predicted(model, rest, item_idx[place : place + 1])
    return found
