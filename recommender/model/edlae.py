"""Item-to-item weights (EDLAE) in closed form over the most-rated items, from graded ratings and content.

    min_B |X - X B|^2 + |Lambda^1/2 B|^2  with diag(B) = 0,  Lambda = dropout / (1 - dropout) diag(G)
        + ridge I

X holds the graded ratings, users by items. The content features F and the sessions S (`sessions`) are added
as further rows: G = X^T X + content_weight F F^T + session_weight S^T S. With P = (G + Lambda)^-1 the minimum
is B = I - P / diag(P), each column divided by its own diagonal element (Steck, "Autoencoders that don't
overfit towards the Identity", NeurIPS 2020, section 3; EASE, "Embarrassingly Shallow Autoencoders for Sparse
Data", WWW 2019, for the diagonal).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy import linalg, sparse
from threadpoolctl import threadpool_limits

from recommender.interactions import History
from recommender.model.fold_in import GRADES, graded

Floats = npt.NDArray[np.float32]

# The weight of a rating falls from 1 for the newest to RECENCY_FLOOR, so that old ratings still count.
HALF_LIFE = 10.0  # events
RECENCY_FLOOR = 0.5
MIN_RATINGS = 11  # of an item; with fewer its content, which is in the factors, predicts better
DENSE = 4  # from 1 / DENSE of all items in a history, one product with all rows beats copying its rows
MEASURED = 100  # items of a history whose effect on scores is computed
BLOCK = 2048  # columns of the Gram matrix that are made dense at once


@dataclass(frozen=True, slots=True)
class ItemWeights:
    """Item-to-item weights.

    item_idx: int32 (n_head,) ascending, the items with weights. position: int32 (n_items,), the position of
    each item in item_idx, or -1. weights: float32 (n_head, n_head), row j times the target of item j is added
    to the scores of a history with item j. grades: float32 (6,), the targets of `fold_in.graded`.
    """

    item_idx: npt.NDArray[np.int32]
    position: npt.NDArray[np.int32]
    weights: Floats
    grades: Floats = field(default_factory=GRADES.copy)

    @classmethod
    def fit(
        cls,
        targets: sparse.csr_matrix,
        content: Floats,
        sessions: sparse.csr_matrix | None = None,
        *,
        max_bytes: int,
        ridge: float,
        dropout: float,
        content_weight: float,
        session_weight: float = 0.0,
        grades: Floats = GRADES,
    ) -> Self:
        """Fit to graded targets, csr float32 (n_users, n_items), content, float32 (n_items, width), and
        sessions, csr float32 (n_sessions, n_items).

        Covers items with at least MIN_RATINGS; the most rated of them, if the weights of all exceed
        `max_bytes`. Deterministic.
        """
        counts = np.bincount(targets.indices, minlength=targets.shape[1])
        n_head = min(int((max_bytes // 4) ** 0.5), int((counts >= MIN_RATINGS).sum()))
        item_idx = np.sort(np.argsort(-counts, kind="stable")[:n_head]).astype(np.int32)
        position = np.full(targets.shape[1], -1, np.int32)
        position[item_idx] = np.arange(n_head, dtype=np.int32)
        items = content[item_idx]
        with threadpool_limits(limits=1, user_api="blas"):  # fixes the order of summation
            gram = np.float32(content_weight) * (items @ items.T)  # (n_head, width) @ (width, n_head)
            _add_gram(gram, targets[:, item_idx].tocsc())
            if sessions is not None and session_weight:
                _add_gram(gram, (sessions[:, item_idx] * np.float32(session_weight**0.5)).tocsc())
            gram[np.diag_indices(n_head)] *= np.float32(1 / (1 - dropout))
            gram[np.diag_indices(n_head)] += np.float32(ridge)
            weights = _inverse(gram) if n_head else gram
        weights /= -weights.diagonal()  # each column by its own
        weights[np.diag_indices(n_head)] = 0
        return cls(item_idx, position, weights, grades)

    def scores(self, history: History) -> Floats:
        """Sum the rows of the history's items, each times its target and recency: float32 (n_head,)."""
        place = self.position[history.item_idx]
        known = place >= 0
        if not known.any():
            return np.zeros(len(self.item_idx), np.float32)
        amounts, place = self._amounts(history)[known], place[known]
        if place.size * DENSE < len(self.item_idx):
            return np.asarray(amounts @ self.weights[place])  # (n,) @ (n, n_head)
        whole = np.zeros(len(self.item_idx), np.float32)
        whole[place] = amounts
        return np.asarray(whole @ self.weights)  # (n_head,) @ (n_head, n_head)

    def standardize(self, scores: Floats, n_rated: int) -> tuple[float, float]:
        """Mean and standard deviation of `scores` over `n_rated` items; items without weights have 0."""
        n = max(n_rated, 1)
        mean = float(scores.sum()) / n
        return mean, max(float(scores @ scores) / n - mean * mean, 0.0) ** 0.5

    def effects(self, history: History, item_idx: npt.NDArray[np.int32], n_rated: int) -> Floats:
        """The decrease of the standardized score of each of m items without each item of the history.

        float32 (n, m). The changes of mean and deviation over `n_rated` items are included. 0 for items
        without weights, and for items of the history beyond the MEASURED ones of the largest weight.
        """
        without = self._without_each(history, n_rated)
        column = self.position[item_idx]
        columns = np.flatnonzero(column >= 0)
        heads = column[columns]
        rows = self.weights[without.place[:, None], heads] * without.amounts[:, None]  # (n, m)
        left = without.whole[heads] - rows
        positive = np.where(without.deviations > 0, without.deviations, np.inf)[:, None]
        standard = (left - without.means[:, None]) / positive
        now = (without.whole[heads] - without.mean) / (without.deviation if without.deviation > 0 else np.inf)
        effects = np.zeros((len(history), len(item_idx)), np.float32)
        effects[without.known[:, None], columns[None, :]] = now - standard
        return effects

    def _without_each(self, history: History, n_rated: int) -> "EffectsWithoutEach":
        """Computed once per history and cached in it."""
        found = history.derived.get(id(self))
        if isinstance(found, EffectsWithoutEach) and found.weights is self and found.n_rated == n_rated:
            return found
        place = self.position[history.item_idx]
        known, amounts = np.flatnonzero(place >= 0), self._amounts(history)
        known = known[np.argsort(-amounts[known], kind="stable")[:MEASURED]]
        rows = self.weights[place[known]] * amounts[known][:, None]  # (n, n_head)
        whole = self.scores(history)
        mean, deviation = self.standardize(whole, n_rated)
        means = mean - rows.sum(axis=1) / max(n_rated, 1)
        squares = whole @ whole - 2 * (rows @ whole) + np.einsum("nh,nh->n", rows, rows)
        deviations = np.sqrt(np.maximum(squares / max(n_rated, 1) - means * means, 0))
        made = history.derived[id(self)] = EffectsWithoutEach(
            self, n_rated, known, place[known], amounts[known], whole, mean, deviation, means, deviations
        )
        return made

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The state by name, for the artifact."""
        names = ("item_idx", "position", "weights", "grades")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """The inverse of `arrays`; models of earlier releases have the default grades."""
        grades = arrays.get("grades", GRADES)
        return cls(arrays["item_idx"], arrays["position"], arrays["weights"], grades)

    def _amounts(self, history: History) -> Floats:
        return graded(history.stars, self.grades) * recency(history.timestamps)


@dataclass(frozen=True, slots=True)
class EffectsWithoutEach:
    """Input of `ItemWeights.effects` from a history with n items that have weights and are measured.

    known: their positions in the history, (n,). place: their rows of the weights. amounts: float32 (n,).
    whole: the scores with all items, float32 (n_head,), their mean and deviation over `n_rated` items. means,
    deviations: without each of them, float32 (n,).
    """

    weights: ItemWeights
    n_rated: int
    known: npt.NDArray[np.intp]
    place: npt.NDArray[np.int32]
    amounts: Floats
    whole: Floats
    mean: float
    deviation: float
    means: Floats
    deviations: Floats


def recency(timestamps: npt.NDArray[np.int64]) -> Floats:
    """Weights by recency, float32 (n,): from 1 for the newest event down to RECENCY_FLOOR.

    The part above RECENCY_FLOOR halves with every HALF_LIFE newer events.

    Events of the same second are equally old; without timestamps all weights are 1.
    """
    newer = timestamps.size - np.searchsorted(np.sort(timestamps), timestamps, side="right")
    return (RECENCY_FLOOR + (1 - RECENCY_FLOOR) * np.exp2(-newer / HALF_LIFE)).astype(np.float32)


def _add_gram(gram: Floats, targets: sparse.csc_matrix) -> None:
    rows = targets.T.tocsr()
    for start in range(0, len(gram), BLOCK):
        block = slice(start, start + BLOCK)
        gram[:, block] += (rows @ targets[:, block]).toarray()


def _inverse(gram: Floats) -> Floats:
    """Invert a symmetric positive definite matrix in place, by Cholesky."""
    # LAPACK is column-major: its lower triangle is the upper one here.
    factor, failed = linalg.lapack.spotrf(gram.T, lower=True, clean=False, overwrite_a=True)
    if failed:
        raise np.linalg.LinAlgError("the Gram matrix of the ratings is not positive definite")
    inverse, _ = linalg.lapack.spotri(factor, lower=True, overwrite_c=True)
    upper: Floats = inverse.T
    for start in range(0, len(upper), BLOCK):
        block = slice(start, start + BLOCK)
        square = np.triu(upper[block, block])
        upper[block, block] = square + np.triu(square, 1).T
        upper[start + BLOCK :, block] = upper[block, start + BLOCK :].T
    return upper
