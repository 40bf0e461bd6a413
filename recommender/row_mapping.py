"""Realign the rows of arrays when objects ordered by id are added, changed or removed."""

from dataclasses import dataclass
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RowMapping:
    """The new positions of rows.

    ids: int64 (n,) ascending. moved: int32 (n_before,), the new position of each former row, -1 if it is
    removed or replaced. fresh: int32 (m,), the positions of new and replaced rows.
    """

    ids: NDArray[np.int64]
    moved: NDArray[np.int32]
    fresh: NDArray[np.int32]

    @classmethod
    def of(cls, ids: NDArray[np.int64], out: NDArray[np.int64], fresh_ids: NDArray[np.int64]) -> Self:
        """Remove `out` from ids, and add or replace fresh_ids; ids and fresh_ids are int64, ascending."""
        keep = ~np.isin(ids, np.concatenate((out, fresh_ids)))
        after = np.union1d(ids[keep], fresh_ids)
        moved = np.full(ids.size, -1, np.int32)
        moved[keep] = np.searchsorted(after, ids[keep])
        return cls(after, moved, np.searchsorted(after, fresh_ids).astype(np.int32))

    def spread(self, before: NDArray[Any], fresh: Any) -> NDArray[Any]:
        """Realign `before`, (n_before, ...), and insert the fresh rows: (n, ...) of the dtype of `before`."""
        keep = self.moved >= 0
        after = np.empty((self.ids.size, *before.shape[1:]), before.dtype)
        after[self.moved[keep]] = before[keep]
        after[self.fresh] = fresh
        return after

    def spread_list(self, before: list[T], fresh: list[T]) -> list[T]:
        """`spread` for a list."""
        after: list[Any] = [None] * self.ids.size
        for place, row in zip(self.moved.tolist(), before, strict=True):
            if place >= 0:
                after[place] = row
        for place, row in zip(self.fresh.tolist(), fresh, strict=True):
            after[place] = row
        return after
