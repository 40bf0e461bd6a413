"""Attributes of items, such as their people, genres and keywords, by name."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.keywords import curation
from recommender.row_mapping import RowMapping

Floats = npt.NDArray[np.float32]


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

    def without_unnamed(self, people: Iterable[str]) -> "Traits":
        """Keep the keywords that a reason may name, for a model in which all of them were saved."""
        named = curation.named(self.of_items(), people)
        return Traits.of([tuple(filter(named.__contains__, names)) for names in self.of_items()])

    def any_of(self, names: Sequence[str]) -> Floats:
        """1 for items with any of these traits, float32 (n_items,)."""
        selected = np.isin(self.names, list(names)).astype(np.float32)
        return np.asarray(np.minimum(self.matrix @ selected, 1), np.float32)

    def of_items(self) -> list[tuple[str, ...]]:
        """The names of each item."""
        names = self.names
        return [tuple(names[column] for column in self.of_item(i)) for i in range(self.matrix.shape[0])]

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
