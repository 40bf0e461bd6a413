"""What viewers do with films, sent as events."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import strawberry

from app import feedback
from app.accounts import Role
from app.feedback import Event, Kind
from schema.access import requires
from schema.constraints import GLOBAL_ID, Constraint
from schema.context import Info
from schema.cost import Cost
from schema.enum import enum_of
from schema.errors import Error
from schema.node import local_id

FeedbackKind = Kind  # others take it from here, where it is given its descriptions
enum_of(
    FeedbackKind,
    "FeedbackKind",
    "What a viewer did with a film.",
    {
        Kind.IMPRESSION: "The film was shown.",
        Kind.CLICK: "The viewer opened the film.",
        Kind.WATCH: "The viewer watched it, as far as `watchedFraction`.",
        Kind.LIKE: "The viewer likes it.",
        Kind.DISLIKE: "The viewer dislikes it.",
        Kind.NOT_INTERESTED: "The viewer turned it down: it is not recommended again.",
        Kind.WATCHLIST: "The viewer put it on the watchlist.",
    },
)


@strawberry.input(description="Something that the viewer did with a film.")
class FeedbackInput:
    movie_id: strawberry.ID = strawberry.field(directives=[GLOBAL_ID], description="The movie.")
    kind: FeedbackKind = strawberry.field(description="What the viewer did.")
    request_id: strawberry.ID | None = strawberry.field(
        default=None,
        directives=[GLOBAL_ID],
        description="`requestId` of the list in which the movie stood.",
    )
    position: int | None = strawberry.field(default=None, description="Its place there, from 0.")
    watched_fraction: float | None = strawberry.field(
        default=None, description="How much of it was watched, 0 to 1, for `WATCH`."
    )
    occurred_at: datetime | None = strawberry.field(
        default=None,
        description="When: from 2000 to 5 minutes from now; without a zone, in UTC. By default now.",
    )
    idempotency_key: str | None = strawberry.field(
        default=None,
        directives=[Constraint(max_length=2 * feedback.MAX_KEY_LENGTH)],
        description="Names the event in 1 to 200 characters, so that one sent again counts once.",
    )


@strawberry.input(description="A batch of events.")
class RecordFeedbackInput:
    events: list[FeedbackInput] = strawberry.field(
        directives=[Constraint(max_items=2 * feedback.MAX_EVENTS)], description="At most 500."
    )


@strawberry.type(description="The whole batch is stored.")
class RecordFeedbackPayload:
    accepted: int = strawberry.field(
        description="How many events, those among them that were sent before too."
    )


@strawberry.type(description="An event of the batch breaks a rule; nothing of the batch is stored.")
class InvalidFeedback(Error):
    index: int | None = strawberry.field(description="Which event, from 0; null for a rule on the batch.")
    field: str | None = strawberry.field(description="Which of its fields; null for a rule on the batch.")


RecordFeedbackResult = Annotated[
    RecordFeedbackPayload | InvalidFeedback,
    strawberry.union("RecordFeedbackResult", description="Outcomes of `recordFeedback`."),
]


@strawberry.type
class FeedbackMutation:
    @strawberry.mutation(
        directives=[Cost(weight=100)],
        description="Tell what the viewer did with films: all of the batch is stored, or nothing.",
        extensions=requires(Role.USER),
    )
    async def record_feedback(
        self,
        info: Info,
        input: Annotated[RecordFeedbackInput, strawberry.argument(description="The events.")],  # noqa: A002
    ) -> RecordFeedbackResult:
        viewer = await info.context.require_viewer()
        try:
            events = [event_of(index, given) for index, given in enumerate(input.events)]
            return RecordFeedbackPayload(
                accepted=await feedback.record(info.context.sessions, viewer.id, events)
            )
        except feedback.InvalidFeedback as error:
            return InvalidFeedback(message=str(error), index=error.index, field=error.field)


def event_of(index: int, given: FeedbackInput) -> Event:
    occurred_at = given.occurred_at
    if occurred_at is not None and occurred_at.tzinfo is None:
        occurred_at = occurred_at.replace(tzinfo=UTC)
    return Event(
        movie_id=local_id(given.movie_id, "Movie", f"input.events[{index}].movieId"),
        kind=given.kind,
        request_id=request_id_of(index, given.request_id),
        position=given.position,
        watched_fraction=given.watched_fraction,
        occurred_at=occurred_at,
        idempotency_key=given.idempotency_key,
    )


def request_id_of(index: int, given: strawberry.ID | None) -> UUID | None:
    try:
        return None if given is None else UUID(given)
    except ValueError:
        raise feedback.InvalidFeedback("is not a list's `requestId`.", index, "requestId") from None
