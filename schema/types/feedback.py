"""Feedback mutations: record events, remove them, edit the watchlist."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Self
from uuid import UUID

import strawberry
from strawberry.types import get_object_definition
from strawberry.utils.str_converters import to_camel_case

from app.accounts import list_ids
from app.accounts.api_keys import Scope
from app.accounts.viewer import Role, Viewer
from app.activity import feedback
from app.activity.feedback import Event, Kind
from app.ingest.member_batches.rows import InvalidRows
from app.settings import Settings
from schema.core.constraints import GLOBAL_ID, Constraint
from schema.core.directives import Cost
from schema.core.errors import BadArgument, CallerError, Error
from schema.core.global_ids import local_id
from schema.core.outcomes import outcomes
from schema.execution.context import Info
from schema.execution.permissions import requires
from schema.types.activity import FeedbackKind
from schema.types.members.batch import (
    InvalidMemberBatch,
    MemberRowsPayload,
    idempotency_field,
    jsonl_field,
    store,
)
from schema.types.movie import Movie, movie_of


@strawberry.input(description="A feedback event of the viewer on a movie.")
class FeedbackInput:
    movie_id: strawberry.ID = strawberry.field(directives=[GLOBAL_ID], description="The movie.")
    kind: FeedbackKind = strawberry.field(description="The kind of event.")
    request_id: strawberry.ID | None = strawberry.field(
        default=None,
        directives=[GLOBAL_ID],
        description="`requestId` of the list that showed the movie. Another member's list is ignored.",
    )
    position: int | None = strawberry.field(
        default=None, description="The movie's position in that list, from 0."
    )
    watched_fraction: float | None = strawberry.field(
        default=None, description="The fraction of the movie that was watched, 0 to 1; only for `WATCH`."
    )
    occurred_at: datetime | None = strawberry.field(
        default=None,
        description="When the event occurred: from 2000 to 5 minutes from now, in UTC unless a time zone is "
        "given. By default now.",
    )
    idempotency_key: str | None = strawberry.field(
        default=None,
        directives=[Constraint(max_length=2 * feedback.MAX_KEY_LENGTH)],
        description="A unique id of the event, 1 to 200 characters. A repeated event counts once.",
    )


def feedback_input(kind: type, given: Mapping[str, Any], _: object) -> Any:
    """Make an input from values that graphql-core has checked and coerced.

    Strawberry would look up the type of each value again, which takes 20 ms for a batch.
    """
    return kind(**{INPUT_NAMES[name]: value for name, value in given.items()})


INPUT = get_object_definition(FeedbackInput, strict=True)
INPUT.from_input = feedback_input
INPUT_NAMES = {to_camel_case(field.name): field.python_name for field in INPUT.fields}


@strawberry.input(description="A batch of events.")
class RecordFeedbackInput:
    events: list[FeedbackInput] | None = strawberry.field(
        default=None,
        directives=[Constraint(max_items=feedback.MAX_EVENTS + 100), Cost(weight=2)],
        description="The viewer's events, at most 500.",
    )
    jsonl: str | None = jsonl_field(
        "Instead of `events`, for an API key with the scope `MEMBERS`: events of members of its source, each "
        "with `kind`, and as they apply `fraction` or `minutes` watched, `requestId`, `position` and `id`, "
        "the idempotency key of the event.",
        required=False,
    )
    idempotency_key: str | None = idempotency_field()


@strawberry.type(description="The batch was stored.")
class RecordFeedbackPayload:
    accepted: int = strawberry.field(description="The number of events, including those sent before.")
    ignored_request_ids: int = strawberry.field(
        description="The number of events whose list was not made for the viewer. They count without it."
    )


@strawberry.type(description="An event breaks a rule. Nothing of the batch was stored.")
class InvalidFeedback(Error):
    index: int | None = strawberry.field(
        description="Index of the event, from 0; null for a rule on the batch."
    )
    field: str | None = strawberry.field(description="Field of the event; null for a rule on the batch.")

    @classmethod
    def of(cls, error: feedback.InvalidFeedback) -> Self:
        return cls(message=str(error), index=error.index, field=error.field)


@strawberry.input(description="Events to remove.")
class RemoveFeedbackInput:
    movie_id: strawberry.ID = strawberry.field(directives=[GLOBAL_ID], description="The movie.")
    kinds: list[FeedbackKind] = strawberry.field(
        directives=[Constraint(max_items=len(Kind))],
        description=f"The kinds of events, 1 to {len(Kind)}. All of the viewer's events of these kinds on "
        "the movie are removed.",
    )


@strawberry.type(description="The events were removed. The next list no longer reflects them.")
class RemoveFeedbackPayload:
    movie: Movie = strawberry.field(description="The movie.")
    removed: int = strawberry.field(description="The number of removed events.")


@strawberry.type(description="The viewer has no events of these kinds on the movie.")
class FeedbackNotFound(Error):
    pass


@strawberry.input(description="The movie to remove from the watchlist.")
class RemoveFromWatchlistInput:
    movie_id: strawberry.ID = strawberry.field(directives=[GLOBAL_ID], description="The movie.")


@strawberry.type(description="The movie was removed from the watchlist.")
class RemoveFromWatchlistPayload:
    movie: Movie = strawberry.field(description="The movie.")


@strawberry.type(description="The movie is not on the viewer's watchlist.")
class NotOnWatchlist(Error):
    pass


RemoveFeedbackResult = Annotated[
    RemoveFeedbackPayload | FeedbackNotFound,
    strawberry.union("RemoveFeedbackResult", description="Outcomes of `removeFeedback`."),
]
RemoveFromWatchlistResult = Annotated[
    RemoveFromWatchlistPayload | NotOnWatchlist,
    strawberry.union("RemoveFromWatchlistResult", description="Outcomes of `removeFromWatchlist`."),
]
RecordFeedbackResult = Annotated[
    RecordFeedbackPayload | InvalidFeedback | MemberRowsPayload | InvalidMemberBatch,
    strawberry.union("RecordFeedbackResult", description="Outcomes of `recordFeedback`."),
]


@strawberry.type
class FeedbackMutation:
    @strawberry.mutation(
        directives=[Cost(weight=220)],
        description="Record a batch of feedback events. The viewer's are all stored, or none. Of `jsonl`, "
        "the events of many members, the rows that break no rule are stored.",
        extensions=requires(Role.USER, Scope.MEMBERS),
    )
    @outcomes({feedback.InvalidFeedback: InvalidFeedback.of, InvalidRows: InvalidMemberBatch})
    async def record_feedback(
        self,
        info: Info,
        input: Annotated[RecordFeedbackInput, strawberry.argument(description="The events.")],  # noqa: A002
    ) -> RecordFeedbackResult:
        if (input.jsonl is None) == (input.events is None):
            raise BadArgument("input", "must have either `events` or `jsonl`.")
        if input.jsonl is not None:
            return await store(info, input.jsonl, input.idempotency_key, ratings=False)
        viewer = await info.context.require_viewer()
        events = input.events or []
        own, ignored = await asyncio.to_thread(own_events, info.context.settings, viewer, events)
        accepted = await feedback.record(info.context.sessions, viewer.id, own)
        return RecordFeedbackPayload(accepted=accepted, ignored_request_ids=ignored)

    @strawberry.mutation(
        directives=[Cost(weight=230)],
        description="Remove the viewer's events of these kinds on a movie, as `NOT_INTERESTED`, `LIKE` or "
        "`WATCH`, as if they had never been recorded. To remove a rating, use `removeRating`.",
        extensions=requires(Role.USER),
    )
    async def remove_feedback(
        self,
        info: Info,
        input: Annotated[RemoveFeedbackInput, strawberry.argument(description="The events.")],  # noqa: A002
    ) -> RemoveFeedbackResult:
        if not input.kinds:
            raise BadArgument("input.kinds", "must name at least one kind of event.")
        removed = await remove(info, input.movie_id, input.kinds)
        if removed == 0:
            return FeedbackNotFound(message="You have no events of these kinds on this movie.")
        return RemoveFeedbackPayload(movie=await known_movie(info, input.movie_id), removed=removed)

    @strawberry.mutation(
        directives=[Cost(weight=220)],
        description="Remove a movie from the viewer's watchlist.",
        extensions=requires(Role.USER),
    )
    async def remove_from_watchlist(
        self,
        info: Info,
        input: Annotated[  # noqa: A002
            RemoveFromWatchlistInput, strawberry.argument(description="The movie.")
        ],
    ) -> RemoveFromWatchlistResult:
        if await remove(info, input.movie_id, [Kind.WATCHLIST]) == 0:
            return NotOnWatchlist(message="This movie is not on your watchlist.")
        return RemoveFromWatchlistPayload(movie=await known_movie(info, input.movie_id))


async def remove(info: Info, movie_id: strawberry.ID, kinds: Sequence[Kind]) -> int:
    viewer = await info.context.require_viewer()
    key = local_id(movie_id, "Movie", "input.movieId")
    return await feedback.remove(info.context.sessions, viewer.id, key, kinds)


async def known_movie(info: Info, movie_id: strawberry.ID) -> Movie:
    movie = await movie_of(info.context, local_id(movie_id, "Movie", "input.movieId"))
    if movie is None:
        raise CallerError("The movie was deleted during the request.")
    return movie


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


def own_events(settings: Settings, viewer: Viewer, given: Sequence[FeedbackInput]) -> tuple[list[Event], int]:
    """The events, without request ids of lists that were made for other members, and the number of these."""
    events = [event_of(index, each) for index, each in enumerate(given)]
    own = [of_own_list(settings, viewer, event) for event in events]
    return own, sum(event is not each for event, each in zip(own, events, strict=True))


def of_own_list(settings: Settings, viewer: Viewer, event: Event) -> Event:
    """The event; without its request id if that list was made for another member."""
    if event.request_id is None or list_ids.is_of(settings, event.request_id, viewer.id):
        return event
    return replace(event, request_id=None)


def request_id_of(index: int, given: strawberry.ID | None) -> UUID | None:
    try:
        return None if given is None else UUID(given)
    except ValueError:
        raise feedback.InvalidFeedback("is not a list's `requestId`.", index, "requestId") from None
