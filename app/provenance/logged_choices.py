"""The value of another model at the first place of lists that were served with exploration.

At the first place such a list has the best movie or, with a known probability, any of the first POOL of its
ranking. The other model would take the one of these POOL that it ranks first. So each of its choices was
possible, and the estimators of `recommender.evaluation.off_policy` apply.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.rows import class_row

from app.provenance import inputs
from app.provenance.replay import NotReproducible, RecordedList, Replayer, inputs_of, wish_in
from app.recommendations.recommend import forbid, ranking_of
from app.serving.model import Model
from recommender.evaluation.off_policy import (
    ValueEstimate,
    doubly_robust,
    inverse_propensity,
    self_normalized,
)
from recommender.exploration import POOL

MAX_LISTS = 20_000
LISTS = """
SELECT served_at, id, request_id, user_id, NULL::text AS username, field, model_version, model_state,
    NULL::text AS code_version, arm, history_at, parameters, inputs, movie_ids, ranks, scores,
    propensities[1]::float8 AS propensity,
    EXISTS (SELECT FROM feedback WHERE feedback.request_id = served_lists.request_id
        AND feedback.user_id = served_lists.user_id AND movie_id = movie_ids[1] AND kind = %(reward)s
    ) AS earned
FROM served_lists
WHERE served_at > now() - %(since)s AND field = 'recommendations' AND propensities IS NOT NULL
    AND ranks[1] = 1 AND user_id IS NOT NULL
    AND NOT coalesce(movie_ids[1] = ANY(promoted), false)
    AND (%(arm)s::text IS NULL OR %(arm)s = ANY(string_to_array(arm, ' ')))
    AND EXISTS (SELECT FROM feedback WHERE feedback.request_id = served_lists.request_id
        AND feedback.user_id = served_lists.user_id AND movie_id = movie_ids[1] AND kind = 'IMPRESSION')
ORDER BY served_at DESC LIMIT %(most)s
"""


class NothingLogged(Exception):
    """There are too few lists to estimate from. The message is for operators."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedList(RecordedList):
    """A list with the propensity of its first movie, and whether that movie earned the reward."""

    propensity: float
    earned: bool


@dataclass(frozen=True, slots=True)
class Value:
    """The mean reward of the first place of a list, as served and by estimates for the other model.

    `lists`, `members`: that the estimates are from. `left_out`: lists that cannot be made again. `agreement`:
    the share of lists whose first movie both would choose.
    """

    reward: str
    lists: int
    members: int
    left_out: int
    agreement: float
    served: float
    estimates: Mapping[str, ValueEstimate]


@dataclass(frozen=True, slots=True)
class Choice:
    """The first place of a list.

    `other`: the probability with which the other model would choose the movie. `predicted`, `expected`: the
    match, from 0 to 1, of the movie and of the one that it would choose.
    """

    member: int
    propensity: float
    other: float
    reward: float
    predicted: float
    expected: float


def value_of(
    connection: psycopg.Connection,
    models: Path,
    other: Model,
    *,
    reward: str = "CLICK",
    arm: str | None = None,
    since: timedelta = timedelta(days=7),
    most: int = MAX_LISTS,
) -> Value:
    """Estimate from the newest lists with exploration, of one `arm` as `experiment/arm` or of all.

    Each member counts once, with the mean of their lists. Raises NothingLogged.
    """
    params = {"reward": reward, "arm": arm, "since": since, "most": min(most, MAX_LISTS)}
    with connection.cursor(row_factory=class_row(LoggedList)) as cursor:
        logged = cursor.execute(LISTS, params).fetchall()
    found = list(choices(connection, Replayer(models), other, logged))
    member = np.array([each.member for each in found], np.int64)
    if np.unique(member).size < 2:  # noqa: PLR2004 - an interval needs two
        raise NothingLogged(
            f"{len(found)} lists with exploration can be made again, of fewer than two members. Start an "
            "experiment whose arm sets `exploration`, and let clients report IMPRESSION events."
        )
    agreed, earned = ([getattr(each, name) for each in found] for name in ("other", "reward"))
    return Value(
        reward,
        len(found),
        np.unique(member).size,
        len(logged) - len(found),
        float(np.mean(agreed)),
        float(np.mean(earned)),
        estimates_of(found, member),
    )


def estimates_of(found: list[Choice], member: NDArray[np.int64]) -> dict[str, ValueEstimate]:
    """The estimates by name; the self-normalized one only if the other model makes a logged choice."""
    columns = ("propensity", "other", "reward", "predicted", "expected")
    logs, others, rewards, predicted, expected = (
        np.array([getattr(each, name) for each in found], np.float64) for name in columns
    )
    estimates = {
        "inverse propensity": inverse_propensity(logs, others, rewards, member),
        "doubly robust": doubly_robust(logs, others, rewards, predicted, expected, member),
    }
    if others.any():
        estimates["self-normalized"] = self_normalized(logs, others, rewards, member)
    return estimates


def choices(
    connection: psycopg.Connection, replayer: Replayer, other: Model, logged: list[LoggedList]
) -> Iterator[Choice]:
    """The choices of the lists that can be made again."""
    for served in logged:
        try:
            yield choice(connection, replayer, other, served)
        except NotReproducible:
            continue


def choice(connection: psycopg.Connection, replayer: Replayer, other: Model, served: LoggedList) -> Choice:
    """Raises NotReproducible if what the list was made from is gone."""
    found, logging = inputs_of(connection, served), replayer.model_of(connection, served)
    user = next(inputs.history_in(of) for of in found if of.kind == inputs.HISTORY)
    (steering,) = inputs.steerings_in(found, logging.hybrid.n_items)
    wish = replace(wish_in(served.parameters), exploration=0.0)
    mask = inputs.mask_in(found[0])
    forbid(mask, logging, user, wish)
    pool = ranking_of(mask, logging, user, wish, POOL, steering.added).item_idx
    allowed: NDArray[np.bool_] = np.isin(other.hybrid.item_ids, logging.hybrid.item_ids[pool])
    best = ranking_of(allowed, other, user, wish, 1, moved(steering.added, logging, other)).item_idx
    chosen = int(other.hybrid.item_ids[best[0]]) if best.size else served.movie_ids[0]
    both = logging.item_idx([served.movie_ids[0], chosen])
    match = np.nan_to_num(logging.hybrid.predict(user.indexed(logging), both).match_percent / 100, nan=0.5)
    assert served.user_id is not None
    return Choice(
        served.user_id,
        served.propensity,
        float(chosen == served.movie_ids[0]),
        float(served.earned),
        float(match[0]),
        float(match[1]),
    )


def moved(added: NDArray[np.float32] | None, before: Model, after: Model) -> NDArray[np.float32] | None:
    """Additions to the scores of one model's items, for the same movies in another model."""
    if added is None:
        return None
    item_idx = after.item_idx(before.hybrid.item_ids)
    found = np.zeros(after.hybrid.n_items, np.float32)
    found[item_idx[item_idx >= 0]] = added[item_idx >= 0]
    return found
