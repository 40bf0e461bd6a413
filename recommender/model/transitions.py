"""Item-to-item transitions: score items that tend to follow the user's most recent ones.

    T[j, i] = sum over users who rated i in the d-th place after j, d <= WINDOW, of DECAY^(d - 1) p_j p_i
    S[j, i] = max(0, T[j, i] - t_j b_i) / (t_j + PRIOR)
    score_i = sum over the RECENT newest items j of a history of FADING^a_j p_j S[j, i]

p is the graded target of a rating, a_j the number of newer events, t_j the sum of row j of T and b_i the
share of column i in the sum of T: t_j b_i is expected after any item. This is a Markov chain over more than
the next step; its decay over positions is that of Garg et al., "Sequence and Time Aware Neighborhood for
Session-based Recommendations", SIGIR 2019. Without timestamps every score is 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.interactions import History, Interactions
from recommender.model.fold_in import GRADES, graded

Floats = npt.NDArray[np.float32]

# Chosen on validation splits of dense and of sparse ratings, flat around: docs/recommender.md.
WINDOW, DECAY = 20, 0.9
RECENT, FADING = 10, 0.8
PRIOR = 20.0
KEPT = 200  # largest successors kept of each item
BLOCK = 1 << 20  # ratings whose successors are in memory at once


@dataclass(frozen=True, slots=True)
class ItemTransitions:
    """following: S, csr float32 (n_items, n_items); row j scores the successors of item j.

    grades: float32 (6,), the targets of `fold_in.graded`.
    """

    following: sparse.csr_matrix
    grades: Floats = field(default_factory=GRADES.copy)

    @classmethod
    def fit(cls, interactions: Interactions, *, rng: np.random.Generator, grades: Floats = GRADES) -> Self:
        """Fit to the ratings with timestamps; ratings of the same second are in random order."""
        events = _Events.of(interactions.with_ratings(interactions.timestamps > 0), rng, grades)
        shares = events.shares()
        parts = [sparse.csr_matrix((0, interactions.n_items), dtype=np.float32)]
        first = 0
        while first < interactions.n_items:
            last = events.starts.searchsorted(events.starts[first] + BLOCK, side="right") - 1
            last = max(first + 1, min(int(last), interactions.n_items))
            parts.append(_largest(_above_expected(events.followed(first, last), shares)))
            first = last
        return cls(sparse.vstack(parts, format="csr"), grades)

    def scores(self, history: History) -> Floats:
        """The scores of all items, float32 (n_items,)."""
        scores = np.zeros(self.following.shape[0], np.float32)
        indptr, columns, values = self.following.indptr, self.following.indices, self.following.data
        newest = _newest(history, RECENT)
        for item, amount in zip(history.item_idx[newest], self._amounts(history, newest), strict=True):
            row = slice(indptr[item], indptr[item + 1])
            scores[columns[row]] += amount * values[row]
        return scores

    def effects(self, history: History, item_idx: npt.NDArray[np.int32], n_rated: int) -> Floats:
        """The decrease of the standardized score of each of m items without each item of the history.

        float32 (n, m). Exact: without an item, older items are one event more recent.
        """
        without = self._without_each(history, n_rated)
        apart = without.scores[:, item_idx].toarray() - without.mean[:, None]
        standard = apart / np.where(without.deviation > 0, without.deviation, np.inf)[:, None]
        effects = np.zeros((len(history), len(item_idx)), np.float32)
        effects[without.recent] = standard[:1] - standard[1:]
        return effects

    def _without_each(self, history: History, n_rated: int) -> "TransitionsWithoutEach":
        """Computed once per history and cached in it."""
        found = history.derived.get(id(self))
        if isinstance(found, TransitionsWithoutEach) and found.model is self and found.n_rated == n_rated:
            return found
        newest = _newest(history, RECENT + 1)
        recent = newest[:RECENT]
        amounts = np.zeros(
            (1 + len(recent), len(newest)), np.float32
        )  # row 0: with all items, row 1 + i: without item i
        amounts[0, : len(recent)] = self._amounts(history, recent)
        for i in range(len(recent)):
            rest = np.delete(np.arange(len(newest)), i)[:RECENT]
            amounts[1 + i, rest] = self._amounts(history, newest[rest])
        raw = sparse.csr_matrix(amounts) @ self.following[history.item_idx[newest]]  # (1 + r, n_items)
        made = history.derived[id(self)] = TransitionsWithoutEach(
            self, n_rated, recent, raw, *_spread(raw, n_rated)
        )
        return made

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The state by name, for the artifact."""
        named = {name: getattr(self.following, name) for name in ("data", "indices", "indptr")}
        return {**named, "grades": self.grades}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """The inverse of `arrays`; models of earlier releases have the default grades."""
        n_items = len(arrays["indptr"]) - 1
        parts = arrays["data"], arrays["indices"], arrays["indptr"]
        following = sparse.csr_matrix(parts, shape=(n_items, n_items))
        return cls(following, arrays.get("grades", GRADES))

    def _amounts(self, history: History, newest: npt.NDArray[np.intp]) -> Floats:
        """FADING^a p of these items; events of the same second are equally old."""
        age = np.searchsorted(-history.timestamps[newest], -history.timestamps[newest], side="left")
        targets = graded(history.stars[newest], self.grades)
        return (np.float32(FADING) ** age * targets).astype(np.float32)


@dataclass(frozen=True, slots=True)
class TransitionsWithoutEach:
    """Scores of a history with all items, then without each of the r `recent` ones.

    recent: positions in the history, (r,). scores: csr float32 (1 + r, n_items). mean, deviation: of each row
    over `n_rated` items, float32 (1 + r,).
    """

    model: ItemTransitions
    n_rated: int
    recent: npt.NDArray[np.intp]
    scores: sparse.csr_matrix
    mean: Floats
    deviation: Floats


def standardize(scores: Floats, n_rated: int) -> tuple[float, float]:
    """Mean and standard deviation of `scores` over `n_rated` items; the scores of the others are 0."""
    n = max(n_rated, 1)
    mean = float(scores.sum()) / n
    return mean, max(float(scores @ scores) / n - mean * mean, 0.0) ** 0.5


def _spread(scores: sparse.csr_matrix, n_rated: int) -> tuple[Floats, Floats]:
    n = max(n_rated, 1)
    mean = np.asarray(scores.sum(axis=1), np.float32).ravel() / np.float32(n)
    square = np.asarray(scores.multiply(scores).sum(axis=1), np.float32).ravel() / np.float32(n)
    return mean, np.sqrt(np.maximum(square - mean * mean, 0))


def _newest(history: History, k: int) -> npt.NDArray[np.intp]:
    """Positions of the k newest items of the history with a timestamp, newest first."""
    known = np.flatnonzero(history.timestamps > 0)
    return known[np.argsort(-history.timestamps[known], kind="stable")[:k]]


@dataclass(frozen=True, slots=True)
class _Events:
    """Ratings with timestamps, by user and time: user, item and target of each, all (n,).

    by_item: positions of the events of each item, item by item; those of item j begin at starts[j].
    starts: (n_items + 1,).
    """

    user: npt.NDArray[np.int32]
    item: npt.NDArray[np.int32]
    target: Floats
    by_item: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]

    @classmethod
    def of(cls, known: Interactions, rng: np.random.Generator, grades: Floats) -> Self:
        user = np.repeat(np.arange(known.n_users, dtype=np.int32), np.diff(known.user_items.indptr))
        order = np.lexsort((rng.random(known.nnz), known.timestamps, user))
        item = known.user_items.indices[order]
        starts = np.concatenate(([0], np.cumsum(np.bincount(item, minlength=known.n_items))))
        target = graded(known.user_items.data[order], grades)
        return cls(user, item, target, np.argsort(item, kind="stable"), starts)

    def shares(self) -> Floats:
        """b, float32 (n_items,)."""
        sums = np.zeros(len(self.starts) - 1)
        for d in range(1, WINDOW + 1):
            place = np.flatnonzero(self.user[:-d] == self.user[d:])
            sums += np.bincount(self.item[place + d], self._weights(place, d), len(sums))
        return np.asarray(sums / max(sums.sum(), 1), np.float32)

    def followed(self, first: int, last: int) -> sparse.csr_matrix:
        """Rows of T from item `first` up to `last`, exclusive."""
        of_items = self.by_item[self.starts[first] : self.starts[last]]
        pairs: list[tuple[Floats, npt.NDArray[np.int32], npt.NDArray[np.int32]]] = []
        for d in range(1, WINDOW + 1):
            place = of_items[of_items + d < len(self.user)]
            place = place[self.user[place] == self.user[place + d]]
            pairs.append((self._weights(place, d), self.item[place] - first, self.item[place + d]))
        values, rows, columns = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
        shape = (last - first, len(self.starts) - 1)
        return sparse.csr_matrix((values, (rows, columns)), shape=shape, dtype=np.float32)

    def _weights(self, place: npt.NDArray[np.int64], d: int) -> Floats:
        return np.asarray(np.float32(DECAY ** (d - 1)) * self.target[place] * self.target[place + d])


def _above_expected(counts: sparse.csr_matrix, shares: Floats) -> sparse.csr_matrix:
    """Rows of S from rows of T."""
    totals = np.asarray(counts.sum(axis=1), np.float32).ravel()
    of_row = np.repeat(totals, np.diff(counts.indptr))
    values = np.maximum(counts.data - of_row * shares[counts.indices], 0) / (of_row + np.float32(PRIOR))
    above = sparse.csr_matrix((values, counts.indices, counts.indptr), shape=counts.shape)
    above.eliminate_zeros()
    return above


def _largest(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """Keep the KEPT largest entries of each row; ties go to the lower column."""
    kept = np.ones(matrix.nnz, bool)
    for row in np.flatnonzero(np.diff(matrix.indptr) > KEPT):
        start, end = matrix.indptr[row : row + 2]
        values = matrix.data[start:end]
        least = np.partition(values, len(values) - KEPT)[len(values) - KEPT]
        kept[start:end] = values > least
        ties = start + np.flatnonzero(values == least)
        kept[ties[: KEPT - np.count_nonzero(kept[start:end])]] = True
    indptr = np.concatenate(([0], np.cumsum(kept)))[matrix.indptr]
    return sparse.csr_matrix((matrix.data[kept], matrix.indices[kept], indptr), shape=matrix.shape)
