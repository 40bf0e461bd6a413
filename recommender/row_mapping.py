"""How the rows of arrays move when things that are ordered by their ids come, change or go."""

from dataclasses import dataclass
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RowMapping:
    """Where rows stand afterwards.

    ids: int64 (n,) ascending. moved: int32 (n_before,), -1 for a row that is taken out or replaced. fresh:
    int32 (m,), the rows that are new or replaced.
    """

    ids: NDArray[np.int64]
    moved: NDArray[np.int32]
    fresh: NDArray[np.int32]

    @classmethod
    def of(cls, ids: NDArray[np.int64], out: NDArray[np.int64], fresh_ids: NDArray[np.int64]) -> Self:
        """From ids and fresh_ids, both int64 and ascending; those of `out` and of fresh_ids leave ids."""
        keep = ~np.isin(ids, np.concatenate((out, fresh_ids)))
        after = np.union1d(ids[keep], fresh_ids)
        moved = np.full(ids.size, -1, np.int32)
        moved[keep] = np.searchsorted(after, ids[keep])
        return cls(after, moved, np.searchsorted(after, fresh_ids).astype(np.int32))

    def spread(self, before: NDArray[Any], fresh: Any) -> NDArray[Any]:
        """(n, ...) of the dtype of `before` (n_before, ...): its rows where they stand now, and the fresh."""
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
