"""Evaluation protocols: how ratings are divided into train, fold-in and test splits.

strong    users held out whole; four fifths of the ratings of each are their history (Liang et al., WWW 2018)
temporal  the newest fifth of each user's ratings held out
global    the newest fifth of all ratings held out: one cut in time
new-user  users held out whole; k random ratings of each are their history
new-item  a fifth of the items with many ratings held out and ranked among themselves, k ratings of each known
rating    a random tenth of all ratings held out: rating prediction only
"""

import enum
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender import splits
from recommender.interactions import Interactions
from recommender.splits import Split

TEST_SHARE, MAX_TEST_USERS = 0.2, 10_000
SHOWN = (0, 1, 3, 5, 10, 20)  # ratings in the history of a new user
GIVEN = (0, 1, 5, 10, 30)  # ratings of a new item in the training set
MORE = 10  # ratings of a new item that must be left to hold out
VALIDATION_SHARE, MAX_VALIDATION_USERS = 0.1, 1_000


class Protocol(enum.StrEnum):
    """The protocols described at the top of this module."""

    STRONG = "strong"
    TEMPORAL = "temporal"
    GLOBAL = "global"
    NEW_USER = "new-user"
    NEW_ITEM = "new-item"
    RATING = "rating"


# Whose test sets are drawn at random: several seeds give several test sets.
DRAWN = (Protocol.STRONG, Protocol.NEW_USER, Protocol.NEW_ITEM, Protocol.RATING)


@dataclass(frozen=True, slots=True)
class Trial:
    """One split of a protocol.

    label: distinguishes the trials of a protocol, such as "5 ratings"; "" if there is one trial only.
    allowed: bool (n_items,), the items a list may contain; None for all.
    """

    label: str
    split: Split
    allowed: NDArray[np.bool_] | None = None


def trials(protocol: Protocol, interactions: Interactions, rng: np.random.Generator) -> Iterator[Trial]:
    """Yield the splits of a protocol; trials with the same training set share the object `split.train`.

    Raises ValueError for too few ratings, or ratings without times if the protocol needs them.
    """
    n_rated = len(np.unique(interactions.user_items.indices))
    if min(interactions.n_users, n_rated) < 2:  # noqa: PLR2004 - one to train on, one to test
        raise ValueError("an evaluation needs the ratings of at least two users, and of two items")
    match protocol:
        case Protocol.STRONG:
            yield Trial("", _strong(interactions, rng))
        case Protocol.TEMPORAL:
            _require_times(interactions, "the newest fifth of each user's ratings")
            yield Trial("", splits.temporal_per_user(interactions, rng=rng))
        case Protocol.GLOBAL:
            _require_times(interactions, "one cut in time")
            yield Trial("", splits.global_temporal(interactions))
        case Protocol.RATING:
            yield Trial("", splits.random_ratings(interactions, rng=rng))
        case Protocol.NEW_USER:
            yield from _new_users(interactions, rng)
        case Protocol.NEW_ITEM:
            yield from _new_items(interactions, rng)


def _require_times(interactions: Interactions, what: str) -> None:
    if not interactions.timestamps.any():
        raise ValueError(
            f"{what} needs ratings with times; without them choose the protocol strong or rating"
        )


def validation(protocol: Protocol, train: Interactions, rng: np.random.Generator) -> Split:
    """Split the training set in the way of the protocol, to choose settings on."""
    if protocol in (Protocol.STRONG, Protocol.NEW_USER):
        n_users = min(MAX_VALIDATION_USERS, max(1, round(VALIDATION_SHARE * train.n_users)))
        return splits.strong_generalization(train, n_test_users=n_users, rng=rng)
    if protocol is Protocol.RATING:
        return splits.random_ratings(train, rng=rng)
    return splits.temporal_per_user(train, rng=rng)


def _strong(interactions: Interactions, rng: np.random.Generator) -> Split:
    n_users = min(MAX_TEST_USERS, max(1, round(TEST_SHARE * interactions.n_users)))
    return splits.strong_generalization(interactions, n_test_users=n_users, rng=rng)


def _new_users(interactions: Interactions, rng: np.random.Generator) -> Iterator[Trial]:
    """The same users for every k, those with more ratings than the largest k; the rest is held out."""
    whole = _strong(interactions, rng)
    test = splits.users_of(interactions, np.searchsorted(interactions.user_ids, whole.histories.user_ids))
    rank, size = splits.rank_in_user(test, np.zeros(test.nnz, np.int64), rng)
    enough = size > SHOWN[-1] + 1
    for k in SHOWN:
        shown = rank < k
        split = Split(whole.train, test.with_ratings(enough & shown), test.with_ratings(enough & ~shown))
        yield Trial(f"{k} ratings", split)


def _new_items(interactions: Interactions, rng: np.random.Generator) -> Iterator[Trial]:
    """The same items and held-out ratings for every k; the k ratings are in the training set."""
    counts = np.bincount(interactions.user_items.indices, minlength=interactions.n_items)
    many = np.flatnonzero(counts >= GIVEN[-1] + MORE)
    if len(many) < 2 / TEST_SHARE:
        raise ValueError(f"too few items have {GIVEN[-1] + MORE} ratings to hold items out")
    new = np.zeros(interactions.n_items, bool)
    new[rng.permutation(many)[: round(TEST_SHARE * len(many))]] = True
    rank = _rank_in_item(interactions, rng)
    is_new = new[interactions.user_items.indices]
    held = interactions.with_ratings(is_new & (rank >= GIVEN[-1]))
    for k in GIVEN:
        train = interactions.with_ratings(~is_new | (rank < k))
        yield Trial(f"{k} ratings", Split(train, train, held), allowed=new)


def _rank_in_item(interactions: Interactions, rng: np.random.Generator) -> NDArray[np.int64]:
    """A random rank of each rating among the ratings of its item, int64 (nnz,)."""
    items = interactions.user_items.indices
    order = np.lexsort((rng.random(interactions.nnz), items))
    sizes = np.bincount(items, minlength=interactions.n_items)
    rank = np.empty(interactions.nnz, np.int64)
    rank[order] = np.arange(interactions.nnz) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return rank
