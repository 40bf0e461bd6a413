"""Cursors of recommendation lists: the list, and the position in it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from app.accounts import list_ids
from app.accounts.viewer import Viewer
from app.activity import ratings
from app.experiments.assignment import Treatment
from app.provenance.record import Placed, ServedList
from app.recommendations.history import UserHistory
from app.recommendations.recommend import Wish
from app.serving.model import Model
from app.telemetry import metrics
from schema.core.cursors import Cursors, invalid_cursor
from schema.core.errors import CallerError, ErrorCode
from schema.core.pagination import moment, of_moment
from schema.execution.context import Context

SEED_SHIFT = 80  # keeps 48 bits of an id, all of them random


@dataclass(frozen=True, slots=True)
class ListPage:
    """A position in a list: cursors, request id, model version, time of the history, last rank.

    `treatment`: of the list by experiments. Cursors carry it, so that all pages of a list have the same.
    """

    cursors: Cursors
    request_id: UUID
    model_version: str | None
    shown_at: datetime
    rank: int
    treatment: Treatment | None = None

    @classmethod
    def of(cls, context: Context, viewer: Viewer | None, cursors: Cursors, after: str | None) -> Self:
        """The page after a cursor; without one, the first page of a new list for the viewer.

        Raises BadArgument for a cursor of another list.
        """
        if after is None:
            new = list_ids.issue(context.settings, None if viewer is None else viewer.id)
            return cls(cursors, new, None, context.pinned_at, 0)
        match cursors.decode(after):
            case (str(request_id), str(version), int(microseconds), int(rank), *treated) if rank > 0:
                try:
                    treatment = Treatment(*treated) if treated else None
                    return cls(cursors, UUID(request_id), version, of_moment(microseconds), rank, treatment)
                except (ValueError, OverflowError, TypeError):
                    pass
        raise invalid_cursor()

    def cursors_of(self, model: Model, ranks: Iterable[int]) -> list[str]:
        request_id, shown_at = str(self.request_id), moment(self.shown_at)
        of = self.treatment
        treated = () if of is None else (of.label, of.model_version, of.diversity, of.exploration)
        return self.cursors.encode_all(
            (request_id, model.version, shown_at, rank, *treated) for rank in ranks
        )

    def treated(self, context: Context, viewer: Viewer | None, ratings: int | None = None) -> Self:
        """The page of a list with the member's arms, which the first page of the list decides.

        Without an arm if this process does not have the arm's model. `ratings`: see `Context.treatment`.
        """
        return self if self.rank else replace(self, treatment=treatment_of(context, viewer, ratings))

    def wish(self, asked: Wish) -> Wish:
        """The parameters of the list: those that were asked for, and what the arms set."""
        of = self.treatment
        if of is None:
            return asked
        seed = self.request_id.int >> SEED_SHIFT if of.exploration else 0
        return replace(asked, diversity=of.diversity, exploration=of.exploration, seed=seed)

    def model(self, context: Context) -> Model:
        """The model of the list's arm or first page, if this process has it; else the active one."""
        arm = self.treatment
        if arm is not None and arm.model_version is not None and not self.rank:
            return model_for(context, arm)
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
                arm=None if self.treatment is None else self.treatment.label,
                promotions=() if genres is not None else context.promotions.live(self.shown_at),
            )
        )


def treatment_of(context: Context, viewer: Viewer | None, ratings: int | None = None) -> Treatment | None:
    """The effect of the member's arms on a list that begins now; None if the arm's model is not here."""
    treatment = context.treatment(viewer, ratings)
    version = None if treatment is None else treatment.model_version
    if version is not None and context.served.of_version(version) is None:
        metrics.arms_unserved.inc()
        return None
    return treatment


def model_for(context: Context, treatment: Treatment | None) -> Model:
    """The model of a list that begins now: the arm's, if it sets one and this process has it."""
    if treatment is not None and treatment.model_version is not None:
        return context.served.of_version(treatment.model_version) or require_model(context)
    return require_model(context)


def require_model(context: Context) -> Model:
    if context.model is None:
        reason = (
            "No model is trained yet. The operator must run `marquee train`."
            if context.served.unreadable is None
            else "The active model cannot be served. See `/readyz` and the log for the reason."
        )
        raise CallerError(reason, ErrorCode.SERVICE_UNAVAILABLE)
    return context.model
