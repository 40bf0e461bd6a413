"""Sessions: split the ratings of each user into runs of consecutive events."""

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.interactions import Interactions
from recommender.model.fold_in import GRADES, graded
from recommender.splits import rank_in_user

STRIDE = 5  # events
LENGTH = 2 * STRIDE  # so that each event is in two sessions


def sessions(
    interactions: Interactions, *, rng: np.random.Generator, grades: npt.NDArray[np.float32] = GRADES
) -> sparse.csr_matrix:
    """Graded targets of sessions of LENGTH consecutive events, csr float32 (n_sessions, n_items).

    Items rated close together are more related than items rated by the same user years apart. Only ratings
    with timestamps are used; ratings of the same second are in random order.
    """
    known = interactions.with_ratings(interactions.timestamps > 0)
    rank, size = rank_in_user(known, known.timestamps, rng)
    user = np.repeat(np.arange(known.n_users), np.diff(known.user_items.indptr))
    per_user = -(-np.maximum(np.diff(known.user_items.indptr) - STRIDE, 1) // STRIDE)
    first = np.concatenate((np.zeros(1, np.int64), np.cumsum(per_user)))
    piece = rank // STRIDE
    targets = graded(known.user_items.data, grades)
    parts: list[tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], npt.NDArray[np.int32]]] = []
    for which in (piece, piece - 1):
        within = (which >= 0) & (which < per_user[user]) & (size > 1)
        rows = first[user[within]] + which[within]
        parts.append((targets[within], rows, known.user_items.indices[within]))
    values, rows, columns = (np.concatenate(part) for part in zip(*parts, strict=True))
    shape = (int(first[-1]), known.n_items)
    return sparse.csr_matrix((values, (rows, columns)), shape=shape, dtype=np.float32)
