"""Online update of the factors of one item from ratings that arrive after the fit.

An item's factors y minimize the loss of `ials.toward`, with users folded in from their current histories:

    sum_new (p - x.y)^2 + (y - e)^T Q (y - e),   Q = n0 (I + m m^T) + alpha0 X^T X + lambda M

in the basis of `fold_in`, in which users have mean m and covariance I, so that the n0 ratings of the item in
the fit count as those of typical users. X are the users of the fit. M transforms the regularization lambda =
regularization (n + alpha0 n_users) to the basis. e is the item's factors before the update, less the part of
the content prior that the weight of n more ratings removes. For an item without ratings in the fit this is
exactly its half-step.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from recommender.interactions import History
from recommender.model.fold_in import FactorModel, basis_of, content_share, graded

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ItemStep:
    """The state of the fit that the half-step of a single item needs.

    unrated: float32 (d, d), the quadratic term of an item without ratings. per_rating: float32 (d, d), the
    regularization per rating. average: float32 (d,), the mean of users. counts: int32 (n_items,), ratings of
    each item in the fit. placed: float32 (n_items, d), the content prior of each item.
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
        """From the arguments of `FactorModel.of`; item_counts: int64 (n_items,); placed: in its basis."""
        basis = basis_of(item_factors[item_counts > 0], user_factors, counts)
        back = np.linalg.inv(basis.change)  # (d, d); keeps y.x
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
        """The number of ratings in the fit, int32 (m,); 0 for indices beyond the items of the fit."""
        there = item_idx < len(self.counts)
        return np.where(there, self.counts[np.where(there, item_idx, 0)], 0).astype(np.int32)

    def moved(self, item: int, row: Floats, user_factors: Floats, targets: Floats) -> Floats:
        """Update the factors of an item, `row` in the fit, from n new ratings: float32 (d,).

        user_factors: float32 (n, d); targets: float32 (n,), of the ratings.
        """
        seen, n = int(self.seen(np.array([item]))[0]), len(targets)
        expected = row - (content_share(seen) - content_share(seen + n)) * self.placed[item]
        system = self.unrated + np.float32(seen + n) * self.per_rating + user_factors.T @ user_factors
        system += np.float32(seen) * (np.eye(len(row)) + np.outer(self.average, self.average))
        surprise = targets - user_factors @ expected
        return np.asarray(expected + np.linalg.solve(system, user_factors.T @ surprise), np.float32)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The state by name, for the artifact."""
        names = ("unrated", "per_rating", "average", "counts", "placed")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """The inverse of `arrays`."""
        return cls(**arrays)


def updated(
    step: ItemStep, model: FactorModel, item: int, fitted: Floats, histories: Sequence[History], stars: Floats
) -> Floats:
    """Update the factors of an item, `fitted` in the fit, from n new ratings: float32 (factors,).

    histories: of the n users who rated the item. stars: float32 (n,), their ratings since the fit. The item
    itself is left out of each history.
    """
    users = np.stack([model.user_factors(history.without(item)) for history in histories])
    return step.moved(item, fitted, users, graded(stars, model.grades))
