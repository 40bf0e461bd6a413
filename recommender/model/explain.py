"""Explain recommendations: items of the history and shared attributes that raised an item's score."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.interactions import History
from recommender.item_features import ItemFeatures
from recommender.row_mapping import RowMapping

Floats = npt.NDArray[np.float32]

BECAUSE_YOU_LIKED = "BECAUSE_YOU_LIKED"
SHARED_PEOPLE = "SHARED_PEOPLE"
SHARED_GENRES = "SHARED_GENRES"
SHARED_KEYWORDS = "SHARED_KEYWORDS"
POPULAR = "POPULAR"

NAMED_STARS = 3.5  # a reason names no movie rated below: "because you liked" would be false


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason for one item.

    item_idx: the item of the history that is the reason; None for POPULAR. detail: the name that both items
    share for SHARED_ kinds, else "". weight: 0 to 1, the share of the total effect of the liked items.
    """

    kind: str
    item_idx: int | None
    detail: str
    weight: float


class Traits:
    """Attributes of items of one kind, such as people: csr of ones (n_items, n_names)."""

    def __init__(self, lines: npt.NDArray[np.uint8], matrix: sparse.csr_matrix) -> None:
        self.lines = lines
        self.matrix = matrix

    @cached_property
    def names(self) -> list[str]:
        """The name of each column."""
        text = self.lines.tobytes().decode()
        return text.split("\n") if text else []

    @cached_property
    def rarity(self) -> Floats:
        """The rarity of each name, float32 (n_names,): 1 for a name of one item, 0 for a name of all."""
        n_items = max(self.matrix.shape[0], 2)
        counts = np.bincount(self.matrix.indices, minlength=self.matrix.shape[1])
        return np.asarray(1 - np.log(np.maximum(counts, 1)) / np.log(n_items), np.float32)

    @classmethod
    def of(cls, names: list[tuple[str, ...]]) -> Self:
        """Make traits from the names of each item."""
        columns: dict[str, int] = {}
        rows: list[list[int]] = []
        for of_item in names:
            clean = dict.fromkeys(" ".join(name.split()) for name in of_item)
            rows.append([columns.setdefault(name, len(columns)) for name in clean if name])
        indptr = np.concatenate(([0], np.cumsum([len(row) for row in rows], dtype=np.int64)))
        indices = np.array([column for row in rows for column in row], np.int32)
        matrix = sparse.csr_matrix(
            (np.ones(len(indices), np.float32), indices, indptr), shape=(len(names), len(columns))
        )
        return cls(np.frombuffer("\n".join(columns).encode(), np.uint8), matrix)

    def with_rows(self, rows: RowMapping, names: list[tuple[str, ...]]) -> "Traits":
        """Return traits with `names` for the rows `rows.fresh`; the other rows move as `rows` says."""
        fresh = Traits.of(names)
        columns = {name: column for column, name in enumerate(self.names)}
        place = np.array([columns.setdefault(name, len(columns)) for name in fresh.names], np.int32)
        before, after = self.matrix.tocoo(), fresh.matrix.tocoo()
        row = rows.moved[before.row]
        row_idx = np.concatenate((row[row >= 0], rows.fresh[after.row]))
        column_idx = np.concatenate((before.col[row >= 0], place[after.col]))
        shape = (rows.ids.size, len(columns))
        matrix = sparse.csr_matrix((np.ones(len(row_idx), np.float32), (row_idx, column_idx)), shape=shape)
        return Traits(np.frombuffer("\n".join(columns).encode(), np.uint8), matrix)

    def of_item(self, item_idx: int) -> npt.NDArray[np.int32]:
        """The columns of one item's names."""
        indptr = self.matrix.indptr
        columns: npt.NDArray[np.int32] = self.matrix.indices[indptr[item_idx] : indptr[item_idx + 1]]
        return columns

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The state by name, for the artifact."""
        shape = np.array(self.matrix.shape, np.int64)
        return {
            "lines": self.lines,
            "indptr": self.matrix.indptr,
            "indices": self.matrix.indices,
            "shape": shape,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """The inverse of `arrays`."""
        indices = arrays["indices"]
        shape = tuple(int(n) for n in arrays["shape"])
        ones = np.ones(len(indices), np.float32)
        return cls(arrays["lines"], sparse.csr_matrix((ones, indices, arrays["indptr"]), shape=shape))


def trait_names(items: ItemFeatures) -> dict[str, list[tuple[str, ...]]]:
    """The names of each item, by the kind of reason."""
    people = [(*directors, *cast) for directors, cast in zip(items.directors, items.cast, strict=True)]
    return {SHARED_PEOPLE: people, SHARED_KEYWORDS: items.keywords, SHARED_GENRES: items.genres}


def traits_of(items: ItemFeatures) -> dict[str, Traits]:
    """The traits of items, by the kind of reason."""
    return {kind: Traits.of(names) for kind, names in trait_names(items).items()}


def maker_names(items: ItemFeatures) -> list[tuple[str, ...]]:
    """The directors and franchise of each item, whose items in one list are limited."""
    rows = zip(items.directors, items.collections, strict=True)
    return [(*directors, f"{name} (franchise)" if name else "") for directors, name in rows]


def makers_of(items: ItemFeatures) -> Traits:
    return Traits.of(maker_names(items))


def explain(
    history: History,
    item_idx: npt.NDArray[np.int32],
    effects: Floats,
    traits: Mapping[str, Traits],
    limit: int,
    subject: int | None = None,
) -> list[list[Reason]]:
    """Return at most `limit` reasons for each of m items, the liked item of the largest effect first.

    effects: float32 (n, m), the decrease of an item's score without each item of the history. Only liked
    items with a positive effect are reasons; a shared name has the summed effects of the liked items with it.
    subject: an item of the history that comes first instead, if it is a reason.
    """
    liked = history.stars >= NAMED_STARS
    if limit < 1 or not liked.any():
        return [[] for _ in item_idx]
    liked_idx = history.item_idx[liked]
    gains = np.maximum(effects[liked], 0)  # (n_liked, m)
    totals = gains.sum(axis=0)
    shares: Floats = (gains / np.where(totals > 0, totals, 1)).astype(np.float32)
    common = [_Common(kind, of_kind, liked_idx, item_idx, shares) for kind, of_kind in traits.items()]
    reasons: list[list[Reason]] = []
    for column, item in enumerate(item_idx.tolist()):
        found: list[Reason] = []
        if totals[column] > 0:
            first = _named_first(liked_idx, shares[:, column], subject)
            found.append(Reason(BECAUSE_YOU_LIKED, int(liked_idx[first]), "", float(shares[first, column])))
            best = [pair for of_kind in common if (pair := of_kind.best(item, column)) is not None]
            found += [reason for _, reason in sorted(best, key=lambda pair: -pair[0])]
        reasons.append(found[:limit])
    return reasons


def _named_first(liked_idx: npt.NDArray[np.int32], shares: Floats, subject: int | None) -> int:
    if subject is not None and (shares[liked_idx == subject] > 0).any():
        return int(np.flatnonzero(liked_idx == subject)[0])
    return int(shares.argmax())


class _Common:
    """The names of one kind that liked items share with the items of a list, weighted for each item."""

    def __init__(
        self,
        kind: str,
        traits: Traits,
        liked_idx: npt.NDArray[np.int32],
        item_idx: npt.NDArray[np.int32],
        shares: Floats,
    ) -> None:
        """shares: float32 (n_liked, m), each liked item's share of the total effect on each item's score.

        Only names of items of the list are processed, so that the time does not grow with a long history.
        """
        self._kind, self._traits, self._liked_idx, self._shares = kind, traits, liked_idx, shares
        names = np.unique(traits.matrix[item_idx].indices)
        shared = traits.matrix[liked_idx][:, names]  # (n_liked, n_names)
        self._holders = shared.tocsc()
        self._rows = {name: row for row, name in enumerate(names.tolist())}
        self._weights = np.asarray(shared.T @ shares)  # (n_names, n_liked) @ (n_liked, m)
        self._salience = self._weights * traits.rarity[names][:, None]

    def best(self, item: int, column: int) -> tuple[float, Reason] | None:
        """The shared name of the highest salience, its weight times its rarity; None without one above 0."""
        candidates = [
            (float(self._salience[self._rows[name], column]), self._rows[name], name)
            for name in self._traits.of_item(item).tolist()
        ]
        salience, row, name = max(candidates, default=(0.0, -1, -1))
        if salience <= 0:
            return None
        holders = self._holders.indices[self._holders.indptr[row] : self._holders.indptr[row + 1]]
        strongest = int(holders[self._shares[holders, column].argmax()])
        text = self._traits.names[name]
        weight = float(self._weights[row, column])
        return salience, Reason(self._kind, int(self._liked_idx[strongest]), text, weight)
