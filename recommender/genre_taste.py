"""Genre taste: compare how often a member likes the genres of an item with all members.

Ten liked items are few in a catalog of thousands, but their genres are twenty at most. The genres correct the
other parts of the score for popularity: they compare the member's items with the ratings of everyone.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse

Floats = npt.NDArray[np.float32]

PRIOR_TARGETS = 5.0  # targets of everyone's genres that are added to the member's
LEAST = 1e-4  # share of a genre without ratings


@dataclass(frozen=True, slots=True)
class GenreTaste:
    """shares: csr float32 (n_items, n_genres), rows of sum 1 or 0. everyone: float32 (n_genres,), of sum 1,
    the share of each genre in all ratings.
    """

    shares: sparse.csr_matrix
    everyone: Floats

    @classmethod
    def of(cls, genres: sparse.csr_matrix, counts: npt.NDArray[np.integer[Any]]) -> Self:
        """genres: csr of ones (n_items, n_genres). counts: integers (n_items,), ratings of each item."""
        sizes = np.maximum(np.diff(genres.indptr), 1)
        shares = sparse.csr_matrix(
            (np.repeat(1 / sizes, np.diff(genres.indptr)).astype(np.float32), genres.indices, genres.indptr),
            shape=genres.shape,
        )
        everyone = shares.T @ counts.astype(np.float32)
        return cls(shares, np.asarray(everyone / max(float(everyone.sum()), 1), np.float32))

    def scores(self, item_idx: npt.NDArray[np.int32], targets: Floats) -> Floats:
        """The mean logarithmic lift of the genres of each item, float32 (n_items,); 0 without genres.

        item_idx: int32 (n,), the items of a history; targets: float32 (n,), how much each was liked. The lift
        of a genre is its share in the targets, shrunk to the share in all ratings, divided by the latter.
        """
        own = self.shares[item_idx].T @ targets
        n = float(own.sum()) + PRIOR_TARGETS
        own_share = (own + PRIOR_TARGETS * self.everyone + LEAST) / n
        lift = np.log(own_share / (self.everyone + LEAST / n))
        return np.asarray(self.shares @ lift.astype(np.float32), np.float32)
