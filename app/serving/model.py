"""The served model, aligned with the catalog snapshot."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Self
from uuid import UUID, uuid4

import numpy as np
from numpy.typing import NDArray

from app.serving.snapshot import Snapshot
from recommender.interactions import positions
from recommender.item_features import ItemFeatures
from recommender.model.hybrid import Hybrid
from recommender.model.new_items import with_factors, with_ratings
from recommender.scorers.arm import with_items
from recommender.scorers.kinds import load

BEFORE = datetime.min.replace(tzinfo=UTC)


class Factors(NamedTuple):
    """New factors of m movies: ids int64 (m,) and rows float32 (m, factors)."""

    movie_ids: NDArray[np.int64]
    rows: NDArray[np.float32]


class Ratings(NamedTuple):
    """All ratings of m movies: ids int64 (m,), and their histograms int32 (m, HALF_STARS)."""

    movie_ids: NDArray[np.int64]
    rows: NDArray[np.int32]


@dataclass(slots=True, eq=False)
class State:
    """A state of a model in this process: the loaded model, or an update of the state `before`.

    The updates from the loaded model on, in their order, make the same model again. `version`: of the model.
    `line`: id of the loaded state. Once the state is `stored`, `before` and `update` are None, so that they
    need no memory.
    """

    version: str
    before: "State | None" = None
    update: ItemFeatures | Factors | Ratings | None = None
    id: UUID = field(default_factory=uuid4)
    made_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    stored: bool = False
    line: UUID = field(init=False)

    def __post_init__(self) -> None:
        self.line = self.id if self.before is None else self.before.line

    def unstored(self) -> list["State"]:
        """This state and those before it that are not stored, in their order."""
        found: list[State] = []
        state: State | None = self
        while state is not None and not state.stored:
            found.append(state)
            state = state.before
        return found[::-1]

    def forget(self) -> None:
        """Count as stored: no other state needs to be kept for this one."""
        self.stored, self.before, self.update = True, None, None


@dataclass(frozen=True, slots=True)
class Model:
    """A trained model, aligned with one snapshot of the catalog.

    `snapshot_idx` int32 (n_items,): position of each item in the snapshot; -1 for a movie that was deleted
    since, or that operators have hidden from all lists.
    `learnt_at`: when the features of its movies were read. `since`: when this process began to serve this
    state of the model. `trained_at`: when the ratings of its training were read.
    """

    version: str
    hybrid: Hybrid
    learnt_at: datetime
    snapshot_idx: NDArray[np.int32]
    since: datetime = BEFORE
    state: State = field(default_factory=lambda: State(""))
    trained_at: datetime = BEFORE

    @classmethod
    def load(cls, folder: Path, learnt_at: datetime) -> Self:
        nowhere = np.empty(0, np.int32)
        return cls(
            folder.name,
            load(folder),
            learnt_at,
            nowhere,
            state=State(folder.name),
            trained_at=learnt_at,
        )

    def with_new_movies(self, movies: ItemFeatures, learnt_at: datetime) -> Self:
        state = State(self.version, self.state, movies)
        return replace(self, hybrid=with_items(self.hybrid, movies), learnt_at=learnt_at, state=state)

    def with_factors(self, factors: Factors) -> Self:
        """Replace the factors of movies that are in the model."""
        rows = dict(zip(self.item_idx(factors.movie_ids).tolist(), factors.rows, strict=True))
        state = State(self.version, self.state, factors)
        return replace(self, hybrid=with_factors(self.hybrid, rows), state=state)

    def with_ratings(self, ratings: Ratings) -> Self:
        """Let popularity, stars and match percents of movies of the model follow their ratings."""
        rows = dict(zip(self.item_idx(ratings.movie_ids).tolist(), ratings.rows, strict=True))
        state = State(self.version, self.state, ratings)
        return replace(self, hybrid=with_ratings(self.hybrid, rows), state=state)

    def aligned(self, snapshot: Snapshot) -> Self:
        snapshot_idx = positions(snapshot.movie_ids, self.hybrid.item_ids)
        if snapshot.facts.hidden.any():
            snapshot_idx[snapshot.facts.hidden[snapshot_idx] & (snapshot_idx >= 0)] = -1
        return replace(self, snapshot_idx=snapshot_idx)

    def item_idx(self, movie_ids: NDArray[np.int64] | Sequence[int]) -> NDArray[np.int32]:
        """Item indices of movies, int32; -1 for a movie that is not in the model."""
        return positions(self.hybrid.item_ids, np.asarray(movie_ids, np.int64))

    def allowed(self, snapshot_mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Convert a mask over the snapshot's movies, bool (n,), to one over the items, bool (n_items,)."""
        return (self.snapshot_idx >= 0) & snapshot_mask[self.snapshot_idx]
