"""Item metadata, as columns."""

from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ItemFeatures:
    """Metadata of n items, as columns of length n aligned with `item_ids`.

    Missing values: "" for text, () for names, 0 for a year, nan for a number.
    """

    item_ids: NDArray[np.int64]
    titles: list[str]
    overviews: list[str]
    keywords: list[tuple[str, ...]]
    directors: list[tuple[str, ...]]
    cast: list[tuple[str, ...]]
    genres: list[tuple[str, ...]]
    languages: list[str]
    years: NDArray[np.int16]
    runtimes: NDArray[np.float32]  # minutes
    popularity: NDArray[np.float32]  # of TMDB
    vote_average: NDArray[np.float32]  # 0..10
    vote_count: NDArray[np.float32]
    collections: list[str]  # franchise
    attributes: list[tuple[str, ...]] = field(default_factory=list)  # further facts, as `name=value`

    def __post_init__(self) -> None:
        if not self.attributes:
            object.__setattr__(self, "attributes", [()] * len(self.item_ids))
        lengths = {column.name: len(getattr(self, column.name)) for column in fields(self)}
        assert len(set(lengths.values())) == 1, f"columns differ in length: {lengths}"

    def __len__(self) -> int:
        return len(self.item_ids)

    @classmethod
    def blank(cls, item_ids: NDArray[np.int64]) -> Self:
        """Items without metadata."""
        n = len(item_ids)
        unknown = np.full(n, np.nan, np.float32)
        return cls(
            item_ids=item_ids,
            titles=[""] * n,
            overviews=[""] * n,
            keywords=[()] * n,
            directors=[()] * n,
            cast=[()] * n,
            genres=[()] * n,
            languages=[""] * n,
            years=np.zeros(n, np.int16),
            runtimes=unknown,
            popularity=unknown,
            vote_average=unknown,
            vote_count=unknown,
            collections=[""] * n,
        )

    def without_votes(self) -> "ItemFeatures":
        """Remove votes and popularity, which contain information from the test period."""
        unknown = np.full(len(self), np.nan, np.float32)
        return replace(self, popularity=unknown, vote_average=unknown, vote_count=unknown)

    def take(self, idx: NDArray[np.integer]) -> "ItemFeatures":
        """The items at positions `idx`, in that order."""
        columns: dict[str, Any] = {}
        for each in fields(self):
            column = getattr(self, each.name)
            columns[each.name] = column[idx] if isinstance(column, np.ndarray) else [column[i] for i in idx]
        return ItemFeatures(**columns)
