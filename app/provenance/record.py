"""The record of a served list: a page of it, and references to what it was computed from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID, uuid4

import numpy as np
from numpy.typing import NDArray

from app.recommendations.history import UserHistory
from app.recommendations.home import HomePage, Standing
from app.recommendations.recommend import Wish
from app.recommendations.shelves import Shelf
from app.recommendations.steering.promotions import Promotion
from app.serving.model import Model
from app.serving.snapshot import Snapshot


class Placed(Protocol):
    @property
    def movie_id(self) -> int: ...
    @property
    def rank(self) -> int: ...
    @property
    def score(self) -> float: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeShelf:
    """The shelf of a home page that a list is a page of, and where the page begins."""

    home: HomePage
    shelf: Shelf
    count: int
    per_shelf: int
    after: Standing | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedList:
    """A served page of a list, with references to what it was computed from.

    `name`: of the GraphQL field. `users`: whose histories it is for, with their ids, None for a visitor.
    `skipped`: movies rated since the first page, int64 (n,). `genres`: ids of the genres that an onboarding
    list is limited to; None for other lists. `arm`: of experiments. `promotions`: those that were live.
    """

    name: str
    request_id: UUID
    user_id: int | None
    shown_at: datetime
    model: Model
    snapshot: Snapshot
    users: Sequence[tuple[int | None, UserHistory]]
    picks: Sequence[Placed]
    first: int
    after_rank: int = 0
    wish: Wish = Wish()  # noqa: RUF009 - it is frozen
    skipped: NDArray[np.int64] | None = None
    shelf: HomeShelf | None = None
    genres: Sequence[int] | None = None
    arm: str | None = None
    promotions: tuple[Promotion, ...] = ()
    served_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    id: UUID = field(default_factory=uuid4)

    def history_rows(self) -> int:
        return sum(user.movie_ids.size + user.hidden.size for _, user in self.users)
