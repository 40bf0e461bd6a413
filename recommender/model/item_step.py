"""Move the factors of one item toward ratings that arrive after the fit, without a fit.

An item's factors y minimize what `ials.toward` does, with users folded in from their histories as of now:

    sum_new (p - x.y)^2 + (y - e)^T Q (y - e),   Q = n0 (I + m m^T) + alpha0 X^T X + lambda M

in the basis of `fold_in`, in which users have mean m and covariance I, so that the n0 ratings which the fit
has seen of the item count as those of typical users. X are the users of the fit, M turns the basis back for
lambda = regularization (n + alpha0 n_users), and e is where the item stood, less what of its content's place
n ratings leave to be expected. For an item that nobody had rated this is exactly its half-step.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from recommender.model.fold_in import basis_of, content_share, graded

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ItemStep:
    """What an item's half-step needs of the fit.

    unrated: float32 (d, d), the quadratic term of an item without a rating. per_rating: float32 (d, d), what
    regularization adds for each rating. average: float32 (d,), the average taste. counts: int32 (n_items,),
    ratings of each item in the fit. placed: float32 (n_items, d), where its content alone puts each item.
    """

    unrated: Floats
    per_rating: Floats
    average: Floats
    counts: npt.NDArray[np.int32]
    placed: Floats

    @classmethod
    def of(
        cls,
        item_factors: Floats,
        item_counts: npt.NDArray[np.int64],
        placed: Floats,
        *,
        user_factors: Floats,
        counts: npt.NDArray[np.int64],
        alpha0: float,
        regularization: float,
    ) -> Self:
        """From the arguments of `FactorModel.of`; item_counts: int64 (n_items,); placed in its basis."""
        basis = basis_of(item_factors[item_counts > 0], user_factors, counts)
        back = np.linalg.inv(basis.change)  # (d, d); y.x is the same in both
        users = user_factors.astype(np.float64) @ back.T  # (n_users, d) @ (d, d)
        per_rating = regularization * (back @ back.T)
        unrated = alpha0 * (users.T @ users) + alpha0 * len(users) * per_rating
        return cls(
            unrated.astype(np.float32),
            per_rating.astype(np.float32),
            basis.average.astype(np.float32),
            item_counts.astype(np.int32),
            placed,
        )

    def seen(self, item_idx: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
        """int32 (m,): ratings in the fit; none of items that have come behind its last one since."""
        there = item_idx < len(self.counts)
        return np.where(there, self.counts[np.where(there, item_idx, 0)], 0).astype(np.int32)

    def moved(self, item: int, row: Floats, user_factors: Floats, stars: Floats) -> Floats:
        """float32 (d,): where ratings of n users put an item that the fit left at `row`.

        user_factors: float32 (n, d); stars: (n,).
        """
        seen, n = int(self.seen(np.array([item]))[0]), len(stars)
        expected = row - (content_share(seen) - content_share(seen + n)) * self.placed[item]
        system = self.unrated + np.float32(seen + n) * self.per_rating + user_factors.T @ user_factors
        system += np.float32(seen) * (np.eye(len(row)) + np.outer(self.average, self.average))
        surprise = graded(stars) - user_factors @ expected
        return np.asarray(expected + np.linalg.solve(system, user_factors.T @ surprise), np.float32)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The state by name, for the artifact."""
        names = ("unrated", "per_rating", "average", "counts", "placed")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """The inverse of `arrays`."""
        return cls(**arrays)
