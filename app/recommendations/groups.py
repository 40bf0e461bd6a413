"""Group recommendations: one list for several members."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text

from app.accounts.usernames import key, username_in
from app.activity import feedback, ratings
from app.db.engine import Sessions
from app.recommendations.diversity import diversified_first
from app.recommendations.history import UserHistory
from app.recommendations.nights import COMPANY
from app.recommendations.steering.preferences import PREFERENCES_OF, preferences_in
from app.recommendations.steering.promotions import Promotion
from app.recommendations.steering.steer import MAX_PINS, UNSTEERED, Steering
from app.serving.model import Model
from app.serving.snapshot import MovieFilter, Snapshot
from recommender.model.nearest import top
from recommender.model.scorer import Ranking, aggregate_scores

POOL = 500  # best movies of each member, the candidates of the group's list

MEMBERS = text(
    f"""
    SELECT place, member.id, username, {PREFERENCES_OF.format(user_id="member.id")}, ARRAY(
        SELECT genres.name FROM favorite_genres JOIN genres ON genres.id = genre_id
        WHERE user_id = member.id ORDER BY position
    ) AS favorite_genres
    FROM unnest(CAST(:usernames AS text[]), CAST(:keys AS text[]))
        WITH ORDINALITY AS requested (name, key, place)
    CROSS JOIN LATERAL (
        SELECT id, username, discoverable FROM users
        WHERE lower(username) = lower(requested.name) OR username_key = requested.key
        ORDER BY lower(username) = lower(requested.name) DESC LIMIT 1
    ) AS member
    WHERE discoverable OR member.id = :viewer_id OR member.id IN ({COMPANY})
    """  # noqa: S608 - constants
)


class UnknownUsername(Exception):
    """No discoverable member, and none of the viewer's night, has this name.

    The message does not reveal whether the member exists.

    `place`: index of the name, from 0.
    """

    def __init__(self, place: int, name: str) -> None:
        super().__init__(f"is invalid: no discoverable member is named {name[:64]!r}.")
        self.place = place


@dataclass(frozen=True, slots=True)
class Member:
    id: int
    username: str
    history: UserHistory


@dataclass(frozen=True, slots=True)
class GroupPick:
    """A movie of the group's list. `match_percents` are in the order of the members, None if unknown.

    `promoted`: a promotion decided the place. `asked_for`: the subject of the movie that each member wants
    more of.
    """

    movie_id: int
    rank: int
    score: float
    match_percents: tuple[int | None, ...]
    promoted: bool = False
    asked_for: tuple[str | None, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupPicks:
    picks: list[GroupPick]
    has_next: bool


async def members(
    sessions: Sessions, viewer_id: int, names: Sequence[str], until: datetime | None = None
) -> list[Member]:
    """Read the members with these names, each once, and their histories as of `until`.

    Raises UnknownUsername for the first name without a discoverable member.
    """
    possible = [username_in(name) for name in names]
    keys = [key(name) for name in possible]
    async with sessions() as session:
        params = {"usernames": possible, "keys": keys, "viewer_id": viewer_id, "until": until}
        rows = await session.execute(MEMBERS, params)
        found = {row.place: row for row in rows}
        for place, name in enumerate(names, 1):
            if place not in found:
                raise UnknownUsername(place - 1, name)
        row_of = {found[place].id: found[place] for place in sorted(found)}
        rated = await ratings.histories(session, list(row_of), until)
        signals = await feedback.signals_of_each(session, list(row_of), until)
    return [
        Member(
            id_,
            row.username,
            UserHistory.of(
                rated[id_], signals[id_], tuple(row.favorite_genres), preferences_in(row.preferences)
            ),
        )
        for id_, row in row_of.items()
    ]


def recommend(
    snapshot: Snapshot,
    model: Model,
    group: Sequence[Member],
    movie_filter: MovieFilter,
    *,
    first: int,
    after_rank: int = 0,
    rated_since: NDArray[np.int64] | None = None,
    promotions: Sequence[Promotion] = (),
    diversity: float = 0.0,
) -> GroupPicks:
    """Return the `first` picks of the group's list after `after_rank`.

    Movies that any member has rated or marked NOT_INTERESTED are left out, and so are those of
    `rated_since`, whose ranks stay empty. `diversity`: see `rerank.mmr`.
    """
    allowed = model.allowed(snapshot.mask(movie_filter))
    return recommend_from(
        allowed,
        model,
        group,
        first=first,
        after_rank=after_rank,
        rated_since=rated_since,
        steerings=steerings_of(snapshot, model, promotions, [member.history for member in group]),
        diversity=diversity,
    )


def steerings_of(
    snapshot: Snapshot, model: Model, promotions: Sequence[Promotion], users: Sequence[UserHistory]
) -> list[Steering]:
    """The steering of each member's scores; the promotions are those of all."""
    common = Steering.of(snapshot, model, promotions)
    return [
        common.for_member(Steering.of(snapshot, model, (), user.preferences)) if user.preferences else common
        for user in users
    ]


def recommend_from(
    allowed: NDArray[np.bool_],
    model: Model,
    group: Sequence[Member],
    *,
    first: int,
    after_rank: int = 0,
    rated_since: NDArray[np.int64] | None = None,
    steerings: Sequence[Steering] = (),
    diversity: float = 0.0,
) -> GroupPicks:
    """Recommend from the items that pass the filter, bool (n_items,), which is overwritten.

    `steerings`: one for each member; none for no steering.
    """
    steerings = steerings or [UNSTEERED] * len(group)
    for member in group:
        never = model.item_idx(np.concatenate((member.history.movie_ids, member.history.hidden)))
        allowed[never[never >= 0]] = False
    pins = pinned(model, group, allowed, steerings)
    allowed[pins] = False
    order, group_scores = ranked(model, group, allowed, steerings)
    skipped = np.empty(0, np.int64) if rated_since is None else rated_since
    if diversity:
        diversify(model, order, group_scores, diversity, after_rank + first + skipped.size)
    if pins:
        group_scores[pins] = group_scores[order].max(initial=-np.inf) if order.size else 0
        order = np.concatenate((np.array(pins, np.int32), order))
    ranks = np.arange(after_rank, order.size)
    ranks = ranks[~np.isin(model.hybrid.item_ids[order[ranks]], skipped)]
    shown = ranks[:first]
    item_idx = order[shown]
    predictions = [model.hybrid.predict(member.history.indexed(model), item_idx) for member in group]
    percents = np.array([prediction.match_percent for prediction in predictions]).T
    promoted = steerings[0].promotes(item_idx, pins)
    asked_for = zip(*(steering.names_asked_for(item_idx) for steering in steerings), strict=True)
    picks = [
        GroupPick(
            int(model.hybrid.item_ids[movie]),
            int(rank) + 1,
            float(group_scores[movie]),
            rounded(member_percents),
            bool(of_promotion),
            names,
        )
        for movie, rank, member_percents, of_promotion, names in zip(
            item_idx, shown, percents, promoted, asked_for, strict=True
        )
    ]
    return GroupPicks(picks, has_next=ranks.size > first)


def pinned(
    model: Model, group: Sequence[Member], allowed: NDArray[np.bool_], steerings: Sequence[Steering]
) -> list[int]:
    """The items that come first, at most MAX_PINS: of each pin the best that no member wished away."""
    found: list[int] = []
    for of_each in zip(*(steering.candidates(allowed) for steering in steerings), strict=True):
        left = np.zeros_like(allowed)
        left[of_each[0]] = True
        for candidates in of_each[1:]:
            left &= np.isin(np.arange(left.size), candidates)
        left[found] = False
        order, _ = ranked(model, group, left, steerings)
        found += order[:1].tolist()
        if len(found) == MAX_PINS:
            break
    return found


def ranked(
    model: Model, group: Sequence[Member], allowed: NDArray[np.bool_], steerings: Sequence[Steering]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Rank the movies that are among the POOL best of any member.

    Returns their item indices, int32 (m,), best for the group first, and the group's score of every item,
    float32 (n_items,). Scores are standardized per member, so they can be aggregated.
    """
    pool = np.zeros_like(allowed)
    for member, steering in zip(group, steerings, strict=True):
        pool[listed(model, member, allowed, POOL, steering).item_idx] = True
    size = int(pool.sum())
    scores = np.full((len(group), model.hybrid.n_items), -np.inf, np.float32)
    for row, member, steering in zip(scores, group, steerings, strict=True):
        ranking = listed(model, member, pool, size, steering)
        row[ranking.item_idx] = ranking.scores
    group_scores = aggregate_scores(scores)
    return top(group_scores, size), group_scores


def listed(model: Model, member: Member, allowed: NDArray[np.bool_], k: int, steering: Steering) -> Ranking:
    """The member's own best `k` movies among `allowed`, bool (n_items,)."""
    user = member.history
    return model.hybrid.recommend(
        user.indexed(model),
        k=k,
        allowed=allowed,
        favorite_genres=user.favorite_genres,
        added=steering.added,
    )


def diversify(
    model: Model, order: NDArray[np.int32], scores: NDArray[np.float32], diversity: float, shown: int
) -> None:
    """Fill the first `shown` places of `order`, int32 (m,), for diversity."""
    moved = diversified_first(model, Ranking(order, scores[order]), k=shown, diversity=diversity)
    order[:] = moved.item_idx


def rounded(percents: NDArray[np.float32]) -> tuple[int | None, ...]:
    """Round to whole percents; nan becomes None."""
    return tuple(None if np.isnan(percent) else round(float(percent)) for percent in percents)
