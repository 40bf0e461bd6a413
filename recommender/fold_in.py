"""A user's factors from the history as it is now: the user half-step of `ials`, solved at request time.

The factors are rotated into the eigenbasis of Y^T Y, where alpha0 Y^T Y + lambda I is a diagonal D. With H
the (n, factors) rows of the history's films and p their targets, Woodbury's identity gives

    x = D^-1 H^T w,   (I + H D^-1 H^T) w = p,

an n x n system in place of a factors x factors one. Only numpy: a request must not wait for a compiler.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from recommender.interactions import History

Floats = npt.NDArray[np.float32]

# What a rating says about choosing: 1 .. 5 stars -> .2, .4, .7, .95, 1.1, straight lines between. What was
# disliked was still chosen, so it stands above the 0 of a film never seen.
GRADE_STARS = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0)
GRADES = (0.0, 0.2, 0.4, 0.7, 0.95, 1.1)


def graded(stars: npt.NDArray[np.float32]) -> Floats:
    """The iALS targets of star ratings, float32 of the same shape."""
    return np.interp(stars, GRADE_STARS, GRADES).astype(np.float32)


def frequency_scaled(counts: npt.NDArray[Any], n_others: int, regularization: float, alpha0: float) -> Floats:
    """lambda = regularization (count + alpha0 n_others), float32 of the shape of `counts`."""
    return (regularization * (counts + alpha0 * n_others)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class FactorModel:
    """Item factors ready for folding users in.

    item_factors: float32 (n_items, factors), rotated. energy: float32 (factors,), the eigenvalues of Y^T Y
    over the n_rated films that took part in the fit, descending. centre: float32 (factors,), their mean row.
    """

    item_factors: Floats
    energy: Floats
    centre: Floats
    n_rated: int
    regularization: float
    alpha0: float

    @classmethod
    def of(
        cls, item_factors: Floats, rated: npt.NDArray[np.bool_], *, regularization: float, alpha0: float
    ) -> Self:
        """Rotate `item_factors`, float32 (n_items, factors); `rated`, bool (n_items,), marks fitted films."""
        fitted = item_factors[rated].astype(np.float64)
        energy, basis = np.linalg.eigh(fitted.T @ fitted)
        energy, basis = np.maximum(energy[::-1], 0), basis[:, ::-1]
        rotated = (item_factors.astype(np.float64) @ basis).astype(np.float32)  # (n_items, d) @ (d, d)
        centre = rotated[rated].mean(axis=0) if fitted.size else np.zeros(rotated.shape[1])
        return cls(
            item_factors=rotated,
            energy=energy.astype(np.float32),
            centre=centre.astype(np.float32),
            n_rated=int(rated.sum()),
            regularization=regularization,
            alpha0=alpha0,
        )

    def user_factors(self, history: History) -> Floats:
        """float32 (factors,); zeros for an empty history."""
        rows = self.item_factors[history.item_idx]  # (n, d)
        diagonal = self._diagonal(len(history))
        targets = graded(history.stars)
        if len(history) <= diagonal.size:
            scaled = rows / diagonal
            solved = scaled.T @ np.linalg.solve(_system(rows, scaled), targets)
        else:
            solved = np.linalg.solve(rows.T @ rows + np.diag(diagonal), rows.T @ targets)
        return np.asarray(solved, np.float32)

    def standardise(self, user_factors: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Mean and standard deviation of users' scores over the films that took part in the fit.

        user_factors: (factors,) or (factors, n_users); what comes back is () or (n_users,).
        """
        mean = self.centre @ user_factors
        square = self.energy @ np.square(user_factors) / max(self.n_rated, 1)
        return mean, np.sqrt(np.maximum(square - mean * mean, 0))

    def effects(self, history: History, item_idx: npt.NDArray[np.int32]) -> Floats:
        """float32 (n, m): by how much the standardised score of each of m films falls without one film.

        With M = (I + H D^-1 H^T)^-1, w = M p, and without row j it is w - M_j w_j / M_jj (the inverse of a
        partitioned matrix, lambda held). The user's mean and deviation move too, and are counted in.
        """
        rows = self.item_factors[history.item_idx]
        scaled = rows / self._diagonal(len(history))
        inverse = np.linalg.inv(_system(rows, scaled).astype(np.float64))
        weights = inverse @ graded(history.stars)
        without = weights[:, None] - inverse * (weights / inverse.diagonal())  # column j: no film j
        users = scaled.T @ np.concatenate((weights[:, None], without), axis=1)  # (d, n) @ (n, 1 + n)
        scores = self.item_factors[item_idx] @ users  # (m, d) @ (d, 1 + n)
        mean, deviation = self.standardise(users)
        standard = (scores - mean) / np.where(deviation > 0, deviation, np.inf)
        return np.asarray((standard[:, :1] - standard[:, 1:]).T, np.float32)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The state by name, for the artifact."""
        scalars = np.array([self.n_rated, self.regularization, self.alpha0], np.float64)
        return {
            "item_factors": self.item_factors,
            "energy": self.energy,
            "centre": self.centre,
            "scalars": scalars,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """The inverse of `arrays`."""
        n_rated, regularization, alpha0 = (float(value) for value in arrays["scalars"])
        return cls(
            item_factors=arrays["item_factors"],
            energy=arrays["energy"],
            centre=arrays["centre"],
            n_rated=int(n_rated),
            regularization=regularization,
            alpha0=alpha0,
        )

    def _diagonal(self, n_history: int) -> Floats:
        scaled = self.regularization * (n_history + self.alpha0 * self.n_rated)
        return np.asarray(self.alpha0 * self.energy + scaled, np.float32)


def _system(rows: Floats, scaled: Floats) -> Floats:
    """I + H D^-1 H^T, float32 (n, n)."""
    system: Floats = scaled @ rows.T  # (n, d) @ (d, n)
    system[np.diag_indices(len(system))] += 1
    return system
