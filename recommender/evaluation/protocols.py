"""How the ratings of a data set are divided into what is learnt from, what is shown and what is foretold.

strong    users held out whole, four fifths of each shown (Liang et al., WWW 2018)
temporal  the newest fifth of each user's ratings
global    the newest fifth of all ratings: one cut in time
new-user  users held out whole, of whom k ratings drawn by chance are shown
new-item  a fifth of the items with many ratings held out, ranked among themselves, k ratings of each known
rating    a random tenth of all ratings: stars only
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
SHOWN = (0, 1, 3, 5, 10, 20)  # ratings of a new user
GIVEN = (0, 1, 5, 10, 30)  # ratings of a new item
MORE = 10  # ratings of a new item that there must be to foretell
VALIDATION_SHARE, MAX_VALIDATION_USERS = 0.1, 1_000


class Protocol(enum.StrEnum):
    """See above."""

    STRONG = "strong"
    TEMPORAL = "temporal"
    GLOBAL = "global"
    NEW_USER = "new-user"
    NEW_ITEM = "new-item"
    RATING = "rating"


@dataclass(frozen=True, slots=True)
class Trial:
    """One split. label: what the trials of a protocol differ in, such as "5 ratings"; "" for the only one.

    allowed: bool (n_items,), the items that lists are made of; None for all.
    """

    label: str
    split: Split
    allowed: NDArray[np.bool_] | None = None


def trials(protocol: Protocol, interactions: Interactions, rng: np.random.Generator) -> Iterator[Trial]:
    """The splits of a protocol; trials that learn from the same ratings share the object `split.train`.

    Raises ValueError where there are too few ratings for the protocol.
    """
    n_rated = len(np.unique(interactions.user_items.indices))
    if min(interactions.n_users, n_rated) < 2:  # noqa: PLR2004 - one to learn from, one to test
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
    """A split of the ratings that are learnt from, like the protocol's, to choose settings on."""
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
    """The same users for every k, those who have rated more than the largest; the rest is to be foretold."""
    whole = _strong(interactions, rng)
    test = splits.users_of(interactions, np.searchsorted(interactions.user_ids, whole.histories.user_ids))
    rank, size = splits.rank_in_user(test, np.zeros(test.nnz, np.int64), rng)
    enough = size > SHOWN[-1] + 1
    for k in SHOWN:
        shown = rank < k
        split = Split(whole.train, test.with_ratings(enough & shown), test.with_ratings(enough & ~shown))
        yield Trial(f"{k} ratings", split)


def _new_items(interactions: Interactions, rng: np.random.Generator) -> Iterator[Trial]:
    """The same items and ratings to foretell for every k; the k ratings are among those learnt from."""
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
    """A random rank of each rating among those of its item, int64 (nnz,)."""
    items = interactions.user_items.indices
    order = np.lexsort((rng.random(interactions.nnz), items))
    sizes = np.bincount(items, minlength=interactions.n_items)
    rank = np.empty(interactions.nnz, np.int64)
    rank[order] = np.arange(interactions.nnz) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return rank
