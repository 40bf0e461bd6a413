"""The id of a home page, by which its shelves are rebuilt for their next pages."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self
from uuid import UUID

from app.accounts.viewer import Viewer
from app.experiments.assignment import Treatment
from app.recommendations.history import UserHistory, history_of
from app.recommendations.home import HomePage, home
from app.serving.model import Model
from schema.core.errors import BadArgument
from schema.core.global_ids import InvalidKey
from schema.core.pagination import moment, of_moment, page_size
from schema.execution.context import Context

MAX_SHELVES = 20


@dataclass(frozen=True, slots=True)
class HomeList:
    """Identifies a home page: request id, model version, time, and requested sizes.

    `treatment`: of the page by experiments. An id holds only its `tag`, to stay short; `with_treatment` reads
    the treatment from the experiments of that time.
    """

    request_id: UUID
    version: str
    shown_at: datetime
    count: int
    per_shelf: int
    treatment: Treatment | None = None
    tag: str = ""

    @property
    def key(self) -> str:
        asked = [self.request_id.hex, self.version, moment(self.shown_at), self.count, self.per_shelf]
        if tag := self.tag or (self.treatment.tag if self.treatment else ""):
            asked.append(tag)
        return "/".join(str(part) for part in asked)

    @property
    def label(self) -> str | None:
        return None if self.treatment is None else self.treatment.label

    @property
    def diversity(self) -> float:
        return 0.0 if self.treatment is None else self.treatment.diversity

    @classmethod
    def of(cls, shelf: str) -> Self:
        """Parse the key of a shelf. Raises InvalidKey if it is malformed."""
        request_id, _, rest = shelf.rsplit("/", 2)[0].partition("/")
        version, _, numbers = rest.partition("/")
        try:
            at, count, per_shelf, *tag = numbers.split("/")
            shown_at, sizes = of_moment(int(at)), asked_of(int(count), int(per_shelf))
            return cls(UUID(hex=request_id), version, shown_at, *sizes, None, "/".join(tag))
        except (ValueError, OverflowError, BadArgument):
            raise InvalidKey(shelf) from None

    async def with_treatment(
        self, context: Context, viewer: Viewer | None
    ) -> tuple[Self, UserHistory | None]:
        """The page of an id with its treatment, and the member's history as of `shown_at`."""
        if viewer is None:
            return self, None
        user = await history_of(context.sessions, viewer.id, self.shown_at, shown=bool(self.tag))
        treatment = context.treatment(viewer, user.rated, self.shown_at) if self.tag else None
        if treatment is None or treatment.tag != self.tag:
            return self, user
        return replace(self, treatment=treatment), user

    async def home(self, context: Context, model: Model, user: UserHistory | None = None) -> HomePage:
        """Make the page. `user`: the viewer's history as of `shown_at`, if it is read already."""
        viewer = await context.viewer()
        if user is not None and not self.diversity:
            user = replace(user, shown=None)
        return await home(
            context.sessions,
            context.snapshot,
            model,
            None if viewer is None else viewer.id,
            count=self.count,
            per_shelf=self.per_shelf,
            now=self.shown_at,
            promotions=context.promotions.live(self.shown_at),
            user=user,
            diversity=self.diversity,
        )


def asked_of(count: int, per_shelf: int) -> tuple[int, int]:
    """Check the numbers of shelves and movies. Raises BadArgument if one is out of range."""
    if not 1 <= count <= MAX_SHELVES:
        raise BadArgument("shelves", f"must be from 1 to {MAX_SHELVES}, not {count}.")
    return count, page_size("perShelf", per_shelf)
