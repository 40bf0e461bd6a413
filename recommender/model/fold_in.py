"""Fold-in: solve a user's factors from the history at request time.

Over the users of the fit, factors have mean m and covariance S. The factors of a user with the rows H
(n, factors) of rated items and their targets p minimize

    |p - H x|^2 + a alpha0 |Y x|^2 + b (x - m)^T S^-1 (x - m),
    a = n / (n + PATIENCE),   b = noise FADING / (n + FADING).

Without ratings the minimum is m, which ranks by popularity; a rating moves it along the directions in
which users differ. Unrated items count as in `ials`, but less for a short history: a new user has not decided
against the rest of the catalog. The prior of a long history counts less: S describes typical users, and the
longer the history, the less typical its user. The factors are kept in the basis in which S is I and Y^T Y is
diagonal. The quadratic terms are then a diagonal D, and Woodbury's identity leaves an n x n system instead of
a factors x factors one:

    x = x0 + D^-1 H^T w,   (I + H D^-1 H^T) w = p - H x0,   x0 = b D^-1 m.

NumPy only: this runs on the request path, which must not trigger numba compilation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from recommender.interactions import History

Floats = npt.NDArray[np.float32]

# Targets of star ratings, interpolated linearly. The user chose to watch an item of three stars, so its
# target is above the 0 of an unrated item. The 0 of one star is observed, and weighs more than the latter.
GRADE_STARS = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0)
GRADES: Floats = np.array([0.0, 0.0, 0.1, 0.4, 0.95, 1.2], np.float32)
# Chosen on validation splits of dense and of sparse ratings, flat around: docs/recommender.md.
NOISE = 0.05  # unless the fit chooses another
FADING = 60.0  # ratings of a user, after which the prior counts half
PATIENCE = 30.0
PRIOR_RATINGS = 20.0  # of an item: with as many ratings, the content prior counts half
COVARIANCE_RATINGS = 20.0  # of a user: with as many ratings, the user counts half in mean and covariance


def graded(stars: npt.NDArray[np.float32], grades: Floats = GRADES) -> Floats:
    """Return the targets of star ratings, float32 of the same shape.

    grades: float32 (6,), the targets of GRADE_STARS.
    """
    return np.interp(stars, GRADE_STARS, grades).astype(np.float32)


def frequency_scaled(counts: npt.NDArray[Any], n_others: int, regularization: float, alpha0: float) -> Floats:
    """lambda = regularization (count + alpha0 n_others), float32 of the shape of `counts`."""
    return (regularization * (counts + alpha0 * n_others)).astype(np.float32)


def content_share(n_ratings: npt.NDArray[Any] | int) -> Any:
    """The weight of the content prior for an item with n_ratings."""
    return np.float32(PRIOR_RATINGS) / (n_ratings + np.float32(PRIOR_RATINGS))


class Basis(NamedTuple):
    """The basis described above.

    change: float64 (d, d); item factors times `change` are in the basis. energy, average: float64 (d,), as in
    `FactorModel`.
    """

    change: npt.NDArray[np.float64]
    energy: npt.NDArray[np.float64]
    average: npt.NDArray[np.float64]


def basis_of(item_factors: Floats, user_factors: Floats, counts: npt.NDArray[np.int64]) -> Basis:
    """The basis for the rated items of the fit, float32 (n_rated, d), and its users, float32 (n_users, d)."""
    average, spread = _spread(user_factors.astype(np.float64), counts)
    lower = np.linalg.cholesky(spread)
    fitted = item_factors.astype(np.float64) @ lower  # (n_rated, d) @ (d, d)
    energy, rotation = np.linalg.eigh(fitted.T @ fitted)
    energy, rotation = np.maximum(energy[::-1], 0), rotation[:, ::-1]
    return Basis(lower @ rotation, energy, rotation.T @ np.linalg.solve(lower, average))


@dataclass(frozen=True)
class FactorModel:
    """Item factors in the basis for folding users in.

    item_factors: float32 (n_items, factors), in the basis above. energy: float32 (factors,), the diagonal of
    Y^T Y over the n_rated items of the fit, descending; centre: float32 (factors,), their mean row.
    average: float32 (factors,), the mean m of users. grades: float32 (6,), of `graded`. noise: the weight of
    the prior for an empty history.
    """

    item_factors: Floats
    energy: Floats
    centre: Floats
    average: Floats
    n_rated: int
    alpha0: float
    grades: Floats = field(default_factory=GRADES.copy)
    noise: float = NOISE

    @classmethod
    def of(
        cls,
        item_factors: Floats,
        rated: npt.NDArray[np.bool_],
        *,
        user_factors: Floats,
        counts: npt.NDArray[np.int64],
        alpha0: float,
        grades: Floats = GRADES,
        noise: float = NOISE,
    ) -> Self:
        """Change to the basis; `rated`, bool (n_items,), marks the items of the fit.

        user_factors: float32 (n_users, factors) of the fit; counts: int64 (n_users,), their ratings.
        Without users the mean is 0 and the covariance I.
        """
        basis = basis_of(item_factors[rated], user_factors, counts)
        changed = (item_factors.astype(np.float64) @ basis.change).astype(np.float32)
        centre = changed[rated].mean(axis=0) if rated.any() else np.zeros(changed.shape[1])
        return cls(
            item_factors=changed,
            energy=basis.energy.astype(np.float32),
            centre=centre.astype(np.float32),
            average=basis.average.astype(np.float32),
            n_rated=int(rated.sum()),
            alpha0=alpha0,
            grades=grades,
            noise=noise,
        )

    @cached_property
    def by_factor(self) -> Floats:
        """The transposed item factors, float32 (factors, n_items), in the order of the fastest full scan.

        A second copy, because rows of single items are read from the other order.
        """
        return np.ascontiguousarray(self.item_factors.T)

    def user_factors(self, history: History) -> Floats:
        """Fold a user in: float32 (factors,)."""
        diagonal = self._diagonal(len(history))
        start: Floats = np.float32(self._prior(len(history))) * self.average / diagonal
        if not len(history):
            return start
        rows = self.item_factors[history.item_idx]  # (n, d)
        surprise = graded(history.stars, self.grades) - rows @ start
        if len(history) <= diagonal.size:
            moved = (rows.T @ np.linalg.solve(_system(rows, diagonal), surprise)) / diagonal
        else:
            moved = np.linalg.solve(rows.T @ rows + np.diag(diagonal), rows.T @ surprise)
        return np.asarray(start + moved, np.float32)

    def standardize(self, user_factors: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Mean and standard deviation of users' scores over the items of the fit.

        user_factors: (factors,) or (factors, n_users); both results are () or (n_users,).
        """
        mean = self.centre @ user_factors
        square = self.energy @ np.square(user_factors) / max(self.n_rated, 1)
        return mean, np.sqrt(np.maximum(square - mean * mean, 0))

    def average_scores(self) -> Floats:
        """The standardized scores of the average user, float32 (n_items,)."""
        mean, deviation = self.standardize(self.average)
        scores = self.item_factors @ self.average - mean
        return np.asarray(scores / np.where(deviation > 0, deviation, np.inf), np.float32)

    def effects(self, history: History, item_idx: npt.NDArray[np.int32]) -> Floats:
        """The decrease of the standardized score of each of m items without each item of the history.

        float32 (n, m). With A = H^T H + D, the factors without row h of target p are
        x + A^-1 h (h.x - p) / (1 - h.A^-1 h) (rank-one update of the inverse with D unchanged). The changes
        of the user's mean and deviation are included.
        """
        without = self._without_each(history)
        scores = self.item_factors[item_idx] @ without.users  # (m, d) @ (d, 1 + n)
        standard = (scores - without.mean) / np.where(without.deviation > 0, without.deviation, np.inf)
        effects: Floats = (standard[:, :1] - standard[:, 1:]).T.astype(np.float32)
        return effects

    def _without_each(self, history: History) -> "FactorsWithoutEach":
        """Computed once per history and cached in it: the cost per item is the square of the factors."""
        found = history.derived.get(id(self))
        if isinstance(found, FactorsWithoutEach) and found.model is self:
            return found
        rows = self.item_factors[history.item_idx].astype(np.float64)
        diagonal = self._diagonal(len(history)).astype(np.float64)
        inverse = np.linalg.inv(rows.T @ rows + np.diag(diagonal))
        targets = graded(history.stars, self.grades)
        user = inverse @ (rows.T @ targets + self._prior(len(history)) * self.average)
        moved = inverse @ rows.T  # (d, d) @ (d, n)
        leverage = np.einsum("nd,dn->n", rows, moved)
        without = user[:, None] + moved * (
            (rows @ user - targets) / (1 - leverage)
        )  # column j: without item j
        users = np.concatenate((user[:, None], without), axis=1)  # (d, 1 + n)
        made = history.derived[id(self)] = FactorsWithoutEach(self, users, *self.standardize(users))
        return made

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The state by name, for the artifact."""
        return {
            "item_factors": self.item_factors,
            "energy": self.energy,
            "centre": self.centre,
            "average": self.average,
            "scalars": np.array([self.n_rated, self.alpha0, self.noise], np.float64),
            "grades": self.grades,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """The inverse of `arrays`; models of earlier releases have the default grades and noise."""
        n_rated, alpha0, *noise = (float(value) for value in arrays["scalars"])
        return cls(
            **{name: arrays[name] for name in ("item_factors", "energy", "centre", "average")},
            n_rated=int(n_rated),
            alpha0=alpha0,
            grades=arrays.get("grades", GRADES),
            noise=noise[0] if noise else NOISE,
        )

    def _prior(self, n_history: int) -> float:
        """b in the equation above."""
        return self.noise * FADING / (n_history + FADING)

    def _diagonal(self, n_history: int) -> Floats:
        passed_over = n_history / (n_history + PATIENCE)
        return np.asarray(passed_over * self.alpha0 * self.energy + self._prior(n_history), np.float32)


@dataclass(frozen=True, slots=True)
class FactorsWithoutEach:
    """Factors of a user without each item of the history.

    users: float64 (d, 1 + n), with all n items, then without each of them. mean, deviation: of their scores,
    float64 (1 + n,).
    """

    model: FactorModel
    users: npt.NDArray[np.float64]
    mean: npt.NDArray[np.float64]
    deviation: npt.NDArray[np.float64]


def _spread(
    user_factors: npt.NDArray[np.float64], counts: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Weighted mean (d,) and covariance (d, d) of user factors; the covariance is never singular."""
    n_factors = user_factors.shape[1]
    weights = counts / (counts + COVARIANCE_RATINGS)
    if not weights.sum():
        return np.zeros(n_factors), np.eye(n_factors)
    average = weights @ user_factors / weights.sum()
    apart = user_factors - average
    spread = (apart * weights[:, None]).T @ apart / weights.sum()
    floor = 1e-6 * np.trace(spread) / n_factors or 1.0
    return average, spread + floor * np.eye(n_factors)


def _system(rows: Floats, diagonal: Floats) -> Floats:
    system: Floats = np.asarray((rows / diagonal) @ rows.T, np.float32)  # (n, d) @ (d, n)
    system[np.diag_indices(len(system))] += 1
    return system
