"""User-item interactions, and the mapping between ids and matrix indices."""

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse

MIN_STARS, MAX_STARS = 0.5, 5.0


def positions(sorted_ids: npt.NDArray[np.int64], ids: npt.ArrayLike) -> npt.NDArray[np.int32]:
    """Indices of `ids` within ascending `sorted_ids`, int32; -1 for an unknown id."""
    values = np.asarray(ids, dtype=np.int64)
    if sorted_ids.size == 0:
        return np.full(values.shape, -1, dtype=np.int32)
    found = np.minimum(np.searchsorted(sorted_ids, values), sorted_ids.size - 1)
    return np.where(sorted_ids[found] == values, found, -1).astype(np.int32)


@dataclass(frozen=True, slots=True)
class History:
    """The ratings of one user, by item index, each item at most once.

    item_idx: int32 (n,); stars: float32 (n,), 0.5 to 5; timestamps: int64 (n,), Unix seconds, 0 when unknown.
    derived: values that a model computed from it, by the id of the model. Raises ValueError if the three
    arrays do not align.
    """

    item_idx: npt.NDArray[np.int32]
    stars: npt.NDArray[np.float32]
    timestamps: npt.NDArray[np.int64]
    derived: dict[int, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.item_idx.shape == self.stars.shape == self.timestamps.shape or self.item_idx.ndim != 1:
            raise ValueError(
                "a history needs three aligned one-dimensional arrays, got shapes "
                f"{self.item_idx.shape}, {self.stars.shape}, {self.timestamps.shape}"
            )

    def __len__(self) -> int:
        return int(self.item_idx.size)

    def without(self, item: int) -> "History":
        """The history without one item."""
        rest = self.item_idx != item
        return self if rest.all() else History(self.item_idx[rest], self.stars[rest], self.timestamps[rest])

    @classmethod
    def of(
        cls, item_idx: npt.ArrayLike, stars: npt.ArrayLike = 5.0, timestamps: npt.ArrayLike | None = None
    ) -> Self:
        """Make a history from array-likes; one value of `stars` for all items represents likes."""
        idx = np.array(item_idx, dtype=np.int32, ndmin=1)
        times = np.zeros(idx.size) if timestamps is None else timestamps
        return cls(
            item_idx=idx,
            stars=np.broadcast_to(np.asarray(stars, dtype=np.float32), idx.shape).copy(),
            timestamps=np.array(times, dtype=np.int64, ndmin=1),
        )


@dataclass(frozen=True, slots=True)
class Interactions:
    """All ratings of all users.

    user_ids: int64 (n_users,) ascending. item_ids: int64 (n_items,) ascending, with unrated items.
    user_items: csr float32 (n_users, n_items), stars 0.5 to 5, indices sorted within a row.
    timestamps: int64 (nnz,), Unix seconds aligned with user_items.data, 0 when unknown.
    """

    user_ids: npt.NDArray[np.int64]
    item_ids: npt.NDArray[np.int64]
    user_items: sparse.csr_matrix
    timestamps: npt.NDArray[np.int64]

    @property
    def n_users(self) -> int:
        return int(self.user_ids.size)

    @property
    def n_items(self) -> int:
        return int(self.item_ids.size)

    @property
    def nnz(self) -> int:
        """Number of ratings."""
        return int(self.user_items.nnz)

    @classmethod
    def from_arrays(
        cls,
        user_ids: npt.ArrayLike,
        item_ids: npt.ArrayLike,
        stars: npt.ArrayLike,
        timestamps: npt.ArrayLike | None = None,
        *,
        catalog: npt.ArrayLike | None = None,
    ) -> Self:
        """Build from columns with one row per rating.

        Of several ratings of one item by one user the newest is kept, or the last of equal times. `catalog`:
        further item ids, rated or not. Raises ValueError for columns of different lengths and for stars
        outside 0.5 to 5.
        """
        users = np.asarray(user_ids, dtype=np.int64)
        items = np.asarray(item_ids, dtype=np.int64)
        values = np.asarray(stars, dtype=np.float32)
        times = np.zeros(users.size, np.int64) if timestamps is None else np.asarray(timestamps, np.int64)
        if not users.shape == items.shape == values.shape == times.shape:
            lengths = f"{users.size}, {items.size}, {values.size}, {times.size}"
            raise ValueError(f"columns differ in length: {lengths}")
        if values.size and not bool(np.all((values >= MIN_STARS) & (values <= MAX_STARS))):
            raise ValueError(f"stars must lie within {MIN_STARS} to {MAX_STARS}")
        known_users = np.unique(users)
        extra = np.empty(0, np.int64) if catalog is None else np.asarray(catalog, dtype=np.int64)
        known_items = np.unique(np.concatenate((items, extra)))
        user_idx, item_idx = positions(known_users, users), positions(known_items, items)
        keep = _newest(user_idx, item_idx, times)
        user_idx, item_idx = user_idx[keep], item_idx[keep]
        indptr = np.zeros(known_users.size + 1, np.int64)
        np.cumsum(np.bincount(user_idx, minlength=known_users.size), out=indptr[1:])
        shape = (known_users.size, known_items.size)
        matrix = sparse.csr_matrix((values[keep], item_idx, indptr), shape=shape)
        matrix.has_sorted_indices = True
        return cls(known_users, known_items, matrix, times[keep])

    def history(self, user_idx: int) -> History:
        """The ratings of one user, by item index."""
        row = slice(self.user_items.indptr[user_idx], self.user_items.indptr[user_idx + 1])
        return History(
            item_idx=self.user_items.indices[row].astype(np.int32),
            stars=self.user_items.data[row],
            timestamps=self.timestamps[row],
        )

    def with_ratings(self, keep: npt.NDArray[Any]) -> Self:
        """The same users and items with only the ratings marked by `keep`, bool (nnz,)."""
        kept = np.asarray(keep, dtype=bool)
        before = np.concatenate((np.zeros(1, np.int64), np.cumsum(kept)))
        matrix = sparse.csr_matrix(
            (self.user_items.data[kept], self.user_items.indices[kept], before[self.user_items.indptr]),
            shape=self.user_items.shape,
        )
        return type(self)(self.user_ids, self.item_ids, matrix, self.timestamps[kept])


def _newest(
    user_idx: npt.NDArray[np.int32], item_idx: npt.NDArray[np.int32], timestamps: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Row numbers sorted by (user, item), only the newest of equal pairs; ties go to the later row."""
    order = np.lexsort((timestamps, item_idx, user_idx))
    users, items = user_idx[order], item_idx[order]
    last = np.ones(order.size, dtype=bool)
    last[:-1] = (users[1:] != users[:-1]) | (items[1:] != items[:-1])
    return order[last]
