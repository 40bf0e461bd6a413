"""Rating rows: as they are read from a file, and as valid ratings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from seeds.files.column_roles import MOVIE, RATING, ROLES, TIME, USER, ColumnNames
from seeds.files.rating_cells import DayOrder, TextIds
from seeds.files.rating_layouts import Layout

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RatingFormat:
    """The format of a rating file, as far as the caller gives it."""

    separator: str | None = None  # None: detect it
    header: bool | None = None  # None: detect it
    half_stars_per_unit: int = 2  # 2 for stars, 1 for a scale of ten
    zero_is_lowest: bool = False  # a rating of 0 is half a star instead of off the scale
    columns: tuple[str, ...] = ROLES  # roles of the columns to read
    optional: frozenset[str] = frozenset()  # roles in `columns` that may be missing
    given: ColumnNames = field(default_factory=ColumnNames)
    day_order: DayOrder | None = None
    ids: TextIds | None = None  # allows text ids; None: only integers are ids


@dataclass(frozen=True, slots=True)
class RatingRows:
    """n valid ratings, with the ids of the file."""

    user_ids: NDArray[np.int64]
    item_ids: NDArray[np.int64]
    half_stars: NDArray[np.int16]
    timestamps: NDArray[np.int64]  # seconds
    lines: NDArray[np.uint32]  # 1-based line of the file

    def __len__(self) -> int:
        return len(self.user_ids)

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> "RatingRows":
        return RatingRows(*(column[chosen] for column in self.columns()))

    def text(self, i: int | np.integer[Any]) -> str:
        stars = self.half_stars[i] / 2
        return (
            f"user {self.user_ids[i]}, movie {self.item_ids[i]}, {stars:g} stars, time {self.timestamps[i]}"
        )

    def columns(self) -> tuple[NDArray[Any], ...]:
        return self.user_ids, self.item_ids, self.half_stars, self.timestamps, self.lines


@dataclass(frozen=True, slots=True)
class ReadRows:
    """n rows in the order of the file, before ratings and times are converted to stars and seconds.

    ratings: nan for no rating; LIKE and DISLIKE for yes and no. times: 0 if unknown. dated: whether a time
    was a date, and is therefore in seconds. A column that the file does not have is filled with these values.
    """

    user_ids: NDArray[np.int64]
    item_ids: NDArray[np.int64]
    ratings: NDArray[np.float32]
    times: NDArray[np.float64]
    dated: NDArray[np.bool_]
    lines: NDArray[np.uint32]
    layout: Layout

    def __len__(self) -> int:
        return len(self.lines)

    def take(self, chosen: NDArray[np.bool_]) -> "ReadRows":
        columns: dict[str, Any] = {name: getattr(self, name)[chosen] for name in _COLUMNS}
        return replace(self, **columns)


_COLUMNS = ("user_ids", "item_ids", "ratings", "times", "dated", "lines")


def rows_of(
    values: Mapping[str, NDArray[Any]], dated: NDArray[np.bool_], lines: NDArray[np.uint32], layout: Layout
) -> ReadRows:
    n = len(lines)
    return ReadRows(
        user_ids=values.get(USER, np.zeros(n, np.int64)),
        item_ids=values.get(MOVIE, np.zeros(n, np.int64)),
        ratings=values.get(RATING, np.full(n, np.nan)).astype(np.float32),
        times=values.get(TIME, np.zeros(n)).astype(np.float64),
        dated=dated,
        lines=lines,
        layout=layout,
    )


def joined(parts: Sequence[ReadRows], layout: Layout) -> ReadRows:
    if len(parts) == 1:
        return parts[0]
    none = rows_of({}, np.zeros(0, bool), np.zeros(0, np.uint32), layout)
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in (none, *parts)]) for name in _COLUMNS
    }
    return ReadRows(**columns, layout=layout)


def distinct(ids: Ints) -> tuple[Ints, NDArray[np.int32]]:
    """The distinct ids in the order of their first row, and the place among them of each row, (n,)."""
    encoded = pa.array(ids).dictionary_encode()  # by hashes, a tenth of the time that sorting takes
    return encoded.dictionary.to_numpy(), encoded.indices.to_numpy()


def order_by_pair(users: Ints, items: Ints, times: Ints, lines: NDArray[np.uint32]) -> Ints:
    """The order of n rows by user and item, and of equal pairs by time and line: int64 (n,)."""
    user_ranks, _ = _ranks(users)
    item_ranks, n_items = _ranks(items)
    pairs = user_ranks * n_items + item_ranks
    order = np.argsort(pairs)
    equal = pairs[order[1:]] == pairs[order[:-1]]
    if equal.any():
        repeated = np.concatenate([equal, [False]]) | np.concatenate([[False], equal])
        rows = order[repeated]
        order[repeated] = rows[np.lexsort((lines[rows], times[rows], pairs[rows]))]
    return order


def _ranks(ids: Ints) -> tuple[Ints, int]:
    """The rank of each id among the distinct ones, int64 (n,), and how many these are."""
    found, at = distinct(ids)
    ranks = np.empty(len(found), np.int64)
    ranks[np.argsort(found)] = np.arange(len(found))
    return ranks[at], len(found)
