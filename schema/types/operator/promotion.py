"""Promotions: pins and boosts of movies, genres and collections, for operators."""

from datetime import UTC, datetime
from typing import Annotated, Self

import strawberry
from strawberry import relay

from app.accounts.viewer import Role, Viewer
from app.recommendations.steering import promotions
from app.recommendations.steering.promotions import (
    InvalidPromotion,
    PromotionKind,
    PromotionNotFound,
    PromotionPlan,
)
from app.recommendations.steering.steer import MAX_PINS
from app.recommendations.steering.subjects import UnknownSubject
from schema.core.constraints import GLOBAL_ID
from schema.core.cursors import Cursors
from schema.core.directives import Cost
from schema.core.enums import enum_of
from schema.core.errors import Error
from schema.core.global_ids import local_id
from schema.core.outcomes import outcomes
from schema.core.pagination import After, Connection, Edge, First, id_of, page_of, window
from schema.execution.context import Info
from schema.execution.permissions import requires
from schema.types.person import Person
from schema.types.steering import subject as subjects
from schema.types.steering.subject import PromotionSubject, PromotionSubjectInput, SubjectNotFound

PROMOTIONS = "promotions"

enum_of(
    PromotionKind,
    "PromotionKind",
    "How a promotion moves movies.",
    {
        PromotionKind.PIN: "The movie, or the best of the genre or collection for the member, comes first. A "
        f"list has at most {MAX_PINS} pins, those of the oldest promotions.",
        PromotionKind.BOOST: "The movies rank higher by `strength`.",
    },
)


@strawberry.type(
    description="A promotion. It moves movies in recommendations, on the home page and in lists of groups, "
    "where their reason is `PROMOTED`. It moves no movie that the member has rated or rejected, or that a "
    "filter leaves out, and pins none that the member wants less of."
)
class Promotion:
    id: strawberry.ID = strawberry.field(description="The id of the promotion.")
    kind: PromotionKind = strawberry.field(description="How it moves movies.")
    subject: PromotionSubject | None = strawberry.field(
        description="What is promoted; null if the catalog no longer has it."
    )
    strength: float | None = strawberry.field(
        description="Of a `BOOST`, in standard deviations of the scores of a list; null for a `PIN`."
    )
    starts_at: datetime = strawberry.field(description="When it begins.")
    ends_at: datetime = strawberry.field(description="When it ends.")
    created_at: datetime = strawberry.field(description="When it was made.")
    withdrawn_at: datetime | None = strawberry.field(description="When it was withdrawn; null if it was not.")
    live: bool = strawberry.field(description="Whether it moves movies now.")

    @classmethod
    def of(cls, info: Info, found: promotions.Promotion) -> Self:
        subject = subjects.shown(info, found.subject)
        assert not isinstance(subject, Person), "no promotion is of a person"
        return cls(
            id=strawberry.ID(relay.to_base64("Promotion", found.id)),
            kind=found.kind,
            subject=subject,
            strength=found.strength,
            starts_at=found.starts_at,
            ends_at=found.ends_at,
            created_at=found.created_at,
            withdrawn_at=found.withdrawn_at,
            live=found.live(datetime.now(UTC)),
        )


@strawberry.type(description="A page of promotions, newest first.")
class PromotionConnection(Connection[Edge[Promotion]]):
    pass


@strawberry.input(description="The promotion to begin.")
class PromoteInput:
    kind: PromotionKind = strawberry.field(description="How it moves movies.")
    subject: PromotionSubjectInput = strawberry.field(description="What to promote.")
    strength: float | None = strawberry.field(
        default=None,
        description="Of a `BOOST`, required: 0.1 to 5 standard deviations of the scores of a list.",
    )
    starts_at: datetime | None = strawberry.field(
        default=None, description="When it begins, in UTC unless a time zone is given; default: now."
    )
    ends_at: datetime | None = strawberry.field(
        default=None, description="When it ends, at most 366 days after the start; default: after 7 days."
    )


@strawberry.type(description="The promotion is stored. All processes follow it within a second.")
class PromotePayload:
    promotion: Promotion = strawberry.field(description="The promotion.")


@strawberry.type(description="The promotion breaks a rule, which the message names. Nothing was changed.")
class PromotionInvalid(Error):
    pass


@strawberry.input(description="The promotion to withdraw.")
class WithdrawPromotionInput:
    promotion_id: strawberry.ID = strawberry.field(directives=[GLOBAL_ID], description="The promotion.")


@strawberry.type(description="The promotion is withdrawn. All processes follow within a second.")
class WithdrawPromotionPayload:
    promotion: Promotion = strawberry.field(description="The promotion.")


@strawberry.type(description="No promotion has this id, or it is withdrawn or over.")
class PromotionUnknown(Error):
    pass


PromoteResult = Annotated[
    PromotePayload | PromotionInvalid | SubjectNotFound,
    strawberry.union("PromoteResult", description="Outcomes of `promote`."),
]
WithdrawPromotionResult = Annotated[
    WithdrawPromotionPayload | PromotionUnknown,
    strawberry.union("WithdrawPromotionResult", description="Outcomes of `withdrawPromotion`."),
]


def in_utc(time: datetime | None) -> datetime | None:
    """A time without a zone is in UTC."""
    return time.replace(tzinfo=UTC) if time is not None and time.tzinfo is None else time


@strawberry.type
class PromotionQuery:
    @strawberry.field(
        directives=[Cost(weight=160)],
        description="All promotions, those that are over included.",
        extensions=requires(Role.CURATOR),
    )
    async def promotions(self, info: Info, first: First, after: After = None) -> PromotionConnection:
        asked = window(Cursors.of(info, PROMOTIONS), first, after)
        found = await promotions.page(info.context.sessions, asked.count + 1, id_of(asked))
        return page_of(
            PromotionConnection,
            asked,
            found,
            lambda each: Edge(cursor=asked.cursors.encode(each.id), node=Promotion.of(info, each)),
        )


@strawberry.type
class PromotionMutation:
    @strawberry.mutation(
        directives=[Cost(weight=400)],
        description="Pin or boost a movie, a genre or a collection for a time. The promoted movies have the "
        "reason `PROMOTED`. What members do with them does not count in experiments.",
        extensions=requires(Role.CURATOR),
    )
    @outcomes({InvalidPromotion: PromotionInvalid, UnknownSubject: SubjectNotFound})
    async def promote(
        self,
        info: Info,
        input: Annotated[PromoteInput, strawberry.argument(description="The promotion.")],  # noqa: A002
    ) -> PromoteResult:
        context = info.context
        actor = await context.actor()
        plan = PromotionPlan(
            input.kind,
            subjects.given(context.snapshot, input.subject),
            input.strength,
            in_utc(input.starts_at),
            in_utc(input.ends_at),
        )
        begun = await promotions.begin(
            context.sessions, actor.id if isinstance(actor, Viewer) else None, plan
        )
        await context.promotions.read(context.sessions)
        return PromotePayload(promotion=Promotion.of(info, begun))

    @strawberry.mutation(
        directives=[Cost(weight=350)],
        description="End a promotion now.",
        extensions=requires(Role.CURATOR),
    )
    @outcomes({PromotionNotFound: PromotionUnknown})
    async def withdraw_promotion(
        self,
        info: Info,
        input: Annotated[WithdrawPromotionInput, strawberry.argument(description="The promotion.")],  # noqa: A002
    ) -> WithdrawPromotionResult:
        context = info.context
        promotion_id = local_id(input.promotion_id, "Promotion", "input.promotionId")
        withdrawn = await promotions.withdraw(context.sessions, promotion_id)
        await context.promotions.read(context.sessions)
        return WithdrawPromotionPayload(promotion=Promotion.of(info, withdrawn))
