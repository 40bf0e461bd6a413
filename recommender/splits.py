"""Train, fold-in and test splits."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recommender.interactions import Interactions


@dataclass(frozen=True, slots=True)
class Split:
    """Train, fold-in and test ratings with the same item indices.

    train: the training set; its users are others if users are held out whole.
    histories: the fold-in ratings of each test user, which the model may use to rank and predict.
    held_out: the test ratings, disjoint from `histories`. Row u is the same user as row u of `histories`.
    """

    train: Interactions
    histories: Interactions
    held_out: Interactions


def temporal_per_user(
    interactions: Interactions,
    *,
    share: float = 0.2,
    after: int | None = None,
    times: NDArray[np.int64] | None = None,
    rng: np.random.Generator,
) -> Split:
    """Hold out the newest `share` of each user's ratings, at least one, but never all.

    `after`: hold out only those of a later time, in Unix seconds; the others are trained on. `times`: the
    times by which ratings are newest, int64 (nnz,); their timestamps if None. Ratings of the same second are
    in random order. Raises ValueError unless 0 < share < 1.
    """
    _check_share(share)
    times = interactions.timestamps if times is None else times
    rank, size = rank_in_user(interactions, times, rng)
    n_held = np.minimum(np.maximum(np.rint(share * size), 1), size - 1)
    held = rank >= size - n_held
    if after is not None:
        held &= times > after
    train = interactions.with_ratings(~held)
    return Split(train, train, interactions.with_ratings(held))


def strong_generalization(
    interactions: Interactions,
    *,
    n_test_users: int,
    share: float = 0.2,
    rng: np.random.Generator,
) -> Split:
    """Hold out users whole, with a random `share` of the ratings of each as test set, the rest as history.

    Liang et al., "Variational Autoencoders for Collaborative Filtering", WWW 2018, section 4.1.
    Raises ValueError unless 0 < n_test_users < n_users and 0 < share < 1.
    """
    _check_share(share)
    if not 0 < n_test_users < interactions.n_users:
        raise ValueError(f"cannot hold out {n_test_users} of {interactions.n_users} users")
    chosen = np.sort(rng.permutation(interactions.n_users)[:n_test_users])
    is_test = np.zeros(interactions.n_users, bool)
    is_test[chosen] = True
    test = users_of(interactions, chosen)
    rank, size = rank_in_user(test, np.zeros(test.nnz, np.int64), rng)
    held = rank < np.minimum(np.maximum(np.rint(share * size), 1), size - 1)
    train = users_of(interactions, np.flatnonzero(~is_test))
    return Split(train, test.with_ratings(~held), test.with_ratings(held))


def global_temporal(interactions: Interactions, *, share: float = 0.2) -> Split:
    """Hold out the newest `share` of all ratings: one cut in time for all users.

    All ratings of the second of the cut are held out. Users whose first rating is later have an empty
    history. Raises ValueError unless 0 < share < 1.
    """
    _check_share(share)
    cut = np.quantile(interactions.timestamps, 1 - share, method="higher")
    held = interactions.timestamps >= cut
    train = interactions.with_ratings(~held)
    return Split(train, train, interactions.with_ratings(held))


def random_ratings(interactions: Interactions, *, share: float = 0.1, rng: np.random.Generator) -> Split:
    """Hold out a random `share` of all ratings, as for published RMSE figures.

    Raises ValueError unless 0 < share < 1.
    """
    _check_share(share)
    held = np.zeros(interactions.nnz, bool)
    held[rng.permutation(interactions.nnz)[: round(share * interactions.nnz)]] = True
    train = interactions.with_ratings(~held)
    return Split(train, train, interactions.with_ratings(held))


def _check_share(share: float) -> None:
    if not 0 < share < 1:
        raise ValueError(f"the held-out share must be between 0 and 1, not {share}")


def rank_in_user(
    interactions: Interactions, key: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rank of each rating by `key` within its user, ties in random order, and the user's count.

    Both int64 (nnz,).
    """
    size = np.diff(interactions.user_items.indptr)
    user_idx = np.repeat(np.arange(interactions.n_users), size)
    order = np.lexsort((rng.random(interactions.nnz), key, user_idx))
    rank = np.empty(interactions.nnz, np.int64)
    rank[order] = np.arange(interactions.nnz) - np.repeat(interactions.user_items.indptr[:-1], size)
    return rank, np.repeat(size, size).astype(np.int64)


def users_of(interactions: Interactions, user_idx: NDArray[np.int64]) -> Interactions:
    """Keep only these users, ascending, with all their ratings."""
    indptr = interactions.user_items.indptr
    rating = np.concatenate([np.arange(indptr[u], indptr[u + 1]) for u in user_idx])
    size = indptr[user_idx + 1] - indptr[user_idx]
    matrix = csr_matrix(
        (
            interactions.user_items.data[rating],
            interactions.user_items.indices[rating],
            np.concatenate([np.zeros(1, np.int64), np.cumsum(size)]),
        ),
        shape=(len(user_idx), interactions.n_items),
    )
    timestamps = interactions.timestamps[rating]
    return Interactions(interactions.user_ids[user_idx], interactions.item_ids, matrix, timestamps)
