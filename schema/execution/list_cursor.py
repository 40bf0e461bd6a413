"""Cursors of recommendation lists: the list, and the position in it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from app.accounts import list_ids
from app.accounts.viewer import Viewer
from app.activity import ratings
from app.provenance.record import Placed, ServedList
from app.recommendations.history import UserHistory
from app.recommendations.recommend import Wish
from app.serving.model import Model
from schema.core.cursors import Cursors, invalid_cursor
from schema.core.errors import CallerError, ErrorCode
from schema.core.pagination import moment, of_moment
from schema.execution.context import Context


@dataclass(frozen=True, slots=True)
class ListPage:
    """A position in a list: cursors, request id, model version, time of the history, last rank."""

    cursors: Cursors
    request_id: UUID
    model_version: str | None
    shown_at: datetime
    rank: int

    @classmethod
    def of(cls, context: Context, viewer: Viewer | None, cursors: Cursors, after: str | None) -> Self:
        """The page after a cursor; without one, the first page of a new list for the viewer.

        Raises BadArgument for a cursor of another list.
        """
        if after is None:
            new = list_ids.issue(context.settings, None if viewer is None else viewer.id)
            return cls(cursors, new, None, context.pinned_at, 0)
        match cursors.decode(after):
            case (str(request_id), str(version), int(microseconds), int(rank)) if rank > 0:
                try:
                    return cls(cursors, UUID(request_id), version, of_moment(microseconds), rank)
                except (ValueError, OverflowError):
                    pass
        raise invalid_cursor()

    def cursors_of(self, model: Model, ranks: Iterable[int]) -> list[str]:
        request_id, shown_at = str(self.request_id), moment(self.shown_at)
        return self.cursors.encode_all((request_id, model.version, shown_at, rank) for rank in ranks)

    def model(self, context: Context) -> Model:
        """The model that made the list, if this process still has it; else the active model."""
        return context.served.model_of(self.model_version, self.shown_at) or require_model(context)

    async def rated_since(self, context: Context, user_ids: Sequence[int]) -> NDArray[np.int64] | None:
        """Movies that one of these members rated since the list was made; None on its first page."""
        if not self.rank:
            return None
        return await ratings.rated_since(context.sessions, user_ids, self.shown_at)

    def record(
        self,
        context: Context,
        model: Model,
        user_id: int | None,
        users: Sequence[tuple[int | None, UserHistory]],
        picks: Sequence[Placed],
        *,
        first: int,
        wish: Wish = Wish(),  # noqa: B008 - it is frozen
        skipped: NDArray[np.int64] | None = None,
        genres: Sequence[int] | None = None,
    ) -> None:
        """Record the page as served. `genres`: those of an onboarding list."""
        context.recorder.add(
            ServedList(
                name=self.cursors.field,
                request_id=self.request_id,
                user_id=user_id,
                shown_at=self.shown_at,
                model=model,
                snapshot=context.snapshot,
                users=users,
                picks=picks,
                first=first,
                after_rank=self.rank,
                wish=wish,
                skipped=skipped,
                genres=genres,
            )
        )


def require_model(context: Context) -> Model:
    if context.model is None:
        reason = (
            "No model is trained yet. The operator must run `marquee train`."
            if context.served.unreadable is None
            else "The active model cannot be served. See `/readyz` and the log for the reason."
        )
        raise CallerError(reason, ErrorCode.SERVICE_UNAVAILABLE)
    return context.model
