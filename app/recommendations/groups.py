"""Lists for several members at once, which leave none of them out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text

from app.accounts.usernames import key, username_in
from app.activity import events, ratings
from app.db.engine import Sessions
from app.recommendations.history import Taste
from app.serving.model import Model
from app.serving.snapshot import MovieFilter, Snapshot
from recommender.model.group import together
from recommender.model.nearest import top
from recommender.model.scorer import Ranking

POOL = 500  # each member's best movies, among which the group's are looked for

MEMBERS = text(
    """
    SELECT place, member.id, username, ARRAY(
        SELECT genres.name FROM favorite_genres JOIN genres ON genres.id = genre_id
        WHERE user_id = member.id ORDER BY position
    ) AS favorite_genres
    FROM unnest(CAST(:usernames AS text[]), CAST(:keys AS text[])) WITH ORDINALITY AS asked (name, key, place)
    CROSS JOIN LATERAL (
        SELECT id, username, discoverable FROM users
        WHERE lower(username) = lower(asked.name) OR username_key = asked.key
        ORDER BY lower(username) = lower(asked.name) DESC LIMIT 1
    ) AS member
    WHERE discoverable OR member.id = :viewer_id
    """
)


class UnknownMember(Exception):
    """There is no such member, or they do not let others find them: it is not told which.

    `place`: which of the names, from 0.
    """

    def __init__(self, place: int, name: str) -> None:
        super().__init__(f"is {name[:64]!r}, and there is no such member whom you could ask along.")
        self.place = place


@dataclass(frozen=True, slots=True)
class Member:
    id: int
    username: str
    taste: Taste


@dataclass(frozen=True, slots=True)
class GroupPick:
    """`match_percents` in the order of the members; None where nothing is known."""

    movie_id: int
    rank: int
    score: float
    match_percents: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class GroupPicks:
    picks: list[GroupPick]
    has_next: bool


async def members(
    sessions: Sessions, viewer_id: int, names: Sequence[str], until: datetime | None = None
) -> list[Member]:
    """The members of these names, each once, with their tastes as of `until`. Raises UnknownMember."""
    possible = [username_in(name) for name in names]
    keys = [key(name) for name in possible]
    async with sessions() as session:
        rows = await session.execute(MEMBERS, {"usernames": possible, "keys": keys, "viewer_id": viewer_id})
        found = {row.place: row for row in rows}
        for place, name in enumerate(names, 1):
            if place not in found:
                raise UnknownMember(place - 1, name)
        asked = {found[place].id: found[place] for place in sorted(found)}
        rated = await ratings.histories(session, list(asked), until)
        signals = await events.signals_of_each(session, list(asked), until)
    return [
        Member(id_, row.username, Taste.of(rated[id_], signals[id_], tuple(row.favorite_genres)))
        for id_, row in asked.items()
    ]


def recommend(
    snapshot: Snapshot,
    model: Model,
    group: Sequence[Member],
    wanted: MovieFilter,
    *,
    first: int,
    after_rank: int = 0,
    rated_since: NDArray[np.int64] | None = None,
) -> GroupPicks:
    """Ranks `after_rank` + 1 and on of the group's list: movies that none of them has rated or turned
    down."""
    allowed = model.allowed(snapshot.mask(wanted))
    for member in group:
        never = model.item_idx(np.concatenate((member.taste.movie_ids, member.taste.hidden)))
        allowed[never[never >= 0]] = False
    order, suits = ranked(model, group, allowed)
    ranks = np.arange(after_rank, order.size)
    if rated_since is not None:
        ranks = ranks[~np.isin(model.hybrid.item_ids[order[ranks]], rated_since)]
    shown = ranks[:first]
    item_idx = order[shown]
    judged = [model.hybrid.judge(member.taste.history(model), item_idx) for member in group]
    percents = np.array([judgement.match_percent for judgement in judged]).T
    picks = [
        GroupPick(int(model.hybrid.item_ids[movie]), int(rank) + 1, float(suits[movie]), rounded(theirs))
        for movie, rank, theirs in zip(item_idx, shown, percents, strict=True)
    ]
    return GroupPicks(picks, has_next=ranks.size > first)


def ranked(
    model: Model, group: Sequence[Member], allowed: NDArray[np.bool_]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The movies that are among the POOL best of any member, int32 (m,), best for the group first; and how
    well each movie suits the group, float32 (n_items,).

    A list's scores are standardised for its member, and so comparable: `recommender.groups.together`.
    """
    pool = np.zeros_like(allowed)
    for member in group:
        pool[listed(model, member, allowed, POOL).item_idx] = True
    size = int(pool.sum())
    scores = np.full((len(group), model.hybrid.n_items), -np.inf, np.float32)
    for row, member in zip(scores, group, strict=True):
        ranking = listed(model, member, pool, size)
        row[ranking.item_idx] = ranking.scores
    suits = together(scores)
    return top(suits, size), suits


def listed(model: Model, member: Member, allowed: NDArray[np.bool_], k: int) -> Ranking:
    taste = member.taste
    return model.hybrid.recommend(
        taste.history(model), k=k, allowed=allowed, favorite_genres=taste.favorite_genres
    )


def rounded(percents: NDArray[np.float32]) -> tuple[int | None, ...]:
    return tuple(None if np.isnan(percent) else round(float(percent)) for percent in percents)
