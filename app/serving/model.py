"""The served model, aligned with the catalog snapshot."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from app.serving.snapshot import Snapshot
from recommender.interactions import positions
from recommender.item_features import ItemFeatures
from recommender.model.hybrid import Hybrid
from recommender.model.new_items import with_items

BEFORE = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Model:
    """A trained model, aligned with one snapshot of the catalog.

    `snapshot_idx` int32 (n_items,): position of each item in the snapshot; -1 for a movie deleted since.
    `learnt_at`: when the features of its movies were read. `since`: when this process began to serve this
    state of the model.
    """

    version: str
    hybrid: Hybrid
    learnt_at: datetime
    snapshot_idx: NDArray[np.int32]
    since: datetime = BEFORE

    @classmethod
    def load(cls, folder: Path, learnt_at: datetime) -> Self:
        return cls(folder.name, Hybrid.load(folder), learnt_at, np.empty(0, np.int32))

    def with_new_movies(self, movies: ItemFeatures, learnt_at: datetime) -> Self:
        return replace(self, hybrid=with_items(self.hybrid, movies), learnt_at=learnt_at)

    def aligned(self, snapshot: Snapshot) -> Self:
        return replace(self, snapshot_idx=positions(snapshot.movie_ids, self.hybrid.item_ids))

    def item_idx(self, movie_ids: NDArray[np.int64] | Sequence[int]) -> NDArray[np.int32]:
        """Item indices of movies, int32; -1 for a movie that is not in the model."""
        return positions(self.hybrid.item_ids, np.asarray(movie_ids, np.int64))

    def allowed(self, snapshot_mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Convert a mask over the snapshot's movies, bool (n,), to one over the items, bool (n_items,)."""
        return (self.snapshot_idx >= 0) & snapshot_mask[self.snapshot_idx]
