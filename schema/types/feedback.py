"""What viewers do with movies, sent as events, and the removal of these events."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Self
from uuid import UUID

import strawberry

from app.accounts.viewer import Role, Viewer
from app.activity import events as feedback
from app.activity.events import Event, Kind
from app.recommendations import request_ids
from schema.core.constraints import GLOBAL_ID, Constraint
from schema.core.directives import Cost
from schema.core.enums import enum_of
from schema.core.errors import BadArgument, CallerError, Error
from schema.core.global_ids import local_id
from schema.core.outcomes import outcomes
from schema.execution.context import Info
from schema.execution.permissions import requires
from schema.types.movie import Movie, movie_of

FeedbackKind = Kind  # others take it from here, where it is given its descriptions
enum_of(
    FeedbackKind,
    "FeedbackKind",
    "What a viewer did with a movie.",
    {
        Kind.IMPRESSION: "The movie was shown.",
        Kind.CLICK: "The viewer opened the movie.",
        Kind.WATCH: "The viewer watched it, as far as `watchedFraction`.",
        Kind.LIKE: "The viewer likes it.",
        Kind.DISLIKE: "The viewer dislikes it.",
        Kind.NOT_INTERESTED: "The viewer turned it down: it is not recommended again.",
        Kind.WATCHLIST: "The viewer put it on the watchlist.",
    },
)


@strawberry.input(description="Something that the viewer did with a movie.")
class FeedbackInput:
    movie_id: strawberry.ID = strawberry.field(directives=[GLOBAL_ID], description="The movie.")
    kind: FeedbackKind = strawberry.field(description="What the viewer did.")
    request_id: strawberry.ID | None = strawberry.field(
        default=None,
        directives=[GLOBAL_ID],
        description="`requestId` of the list in which the movie stood. Another member's is ignored.",
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
        directives=[Constraint(max_items=feedback.MAX_EVENTS + 100), Cost(weight=4)],
        description="At most 500.",
    )


@strawberry.type(description="The whole batch is stored.")
class RecordFeedbackPayload:
    accepted: int = strawberry.field(
        description="How many events, those among them that were sent before too."
    )
    ignored_request_ids: int = strawberry.field(
        description="How many of them name a list that was not made for the viewer: they count without it."
    )


@strawberry.type(description="An event of the batch breaks a rule; nothing of the batch is stored.")
class InvalidFeedback(Error):
    index: int | None = strawberry.field(description="Which event, from 0; null for a rule on the batch.")
    field: str | None = strawberry.field(description="Which of its fields; null for a rule on the batch.")

    @classmethod
    def of(cls, error: feedback.InvalidFeedback) -> Self:
        return cls(message=str(error), index=error.index, field=error.field)


@strawberry.input(description="Events to remove.")
class RemoveFeedbackInput:
    movie_id: strawberry.ID = strawberry.field(directives=[GLOBAL_ID], description="The movie.")
    kinds: list[FeedbackKind] = strawberry.field(
        directives=[Constraint(max_items=len(Kind))],
        description=f"The kinds of events, 1 to {len(Kind)}. All of the viewer's events of these kinds with "
        "the movie are removed.",
    )


@strawberry.type(description="The events are gone, and count no longer from the next list on.")
class RemoveFeedbackPayload:
    movie: Movie = strawberry.field(description="The movie.")
    removed: int = strawberry.field(description="How many events that were.")


@strawberry.type(description="The viewer has no events of these kinds with the movie.")
class FeedbackNotFound(Error):
    pass


@strawberry.input(description="An entry of the watchlist to remove.")
class RemoveFromWatchlistInput:
    movie_id: strawberry.ID = strawberry.field(directives=[GLOBAL_ID], description="The movie.")


@strawberry.type(description="The movie is not on the watchlist any longer.")
class RemoveFromWatchlistPayload:
    movie: Movie = strawberry.field(description="The movie.")


@strawberry.type(description="The viewer did not put the movie on the watchlist.")
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
    RecordFeedbackPayload | InvalidFeedback,
    strawberry.union("RecordFeedbackResult", description="Outcomes of `recordFeedback`."),
]


@strawberry.type
class FeedbackMutation:
    @strawberry.mutation(
        directives=[Cost(weight=220)],
        description="Tell what the viewer did with movies: all of the batch is stored, or nothing.",
        extensions=requires(Role.USER),
    )
    @outcomes({feedback.InvalidFeedback: InvalidFeedback.of})
    async def record_feedback(
        self,
        info: Info,
        input: Annotated[RecordFeedbackInput, strawberry.argument(description="The events.")],  # noqa: A002
    ) -> RecordFeedbackResult:
        viewer = await info.context.require_viewer()
        events = [event_of(index, given) for index, given in enumerate(input.events)]
        own = [of_own_list(info, viewer, event) for event in events]
        accepted = await feedback.record(info.context.sessions, viewer.id, own)
        ignored = sum(event is not given for event, given in zip(own, events, strict=True))
        return RecordFeedbackPayload(accepted=accepted, ignored_request_ids=ignored)

    @strawberry.mutation(
        directives=[Cost(weight=230)],
        description="Undo what the viewer did with a movie, such as `NOT_INTERESTED`, `LIKE` or `WATCH`: "
        "remove its events of these kinds, as if they had never been recorded. A rating has `removeRating`.",
        extensions=requires(Role.USER),
    )
    async def remove_feedback(
        self,
        info: Info,
        input: Annotated[RemoveFeedbackInput, strawberry.argument(description="The events.")],  # noqa: A002
    ) -> RemoveFeedbackResult:
        if not input.kinds:
            raise BadArgument("input.kinds", "must name a kind of events at least.")
        removed = await remove(info, input.movie_id, input.kinds)
        if removed == 0:
            return FeedbackNotFound(message="You have no events of these kinds with this movie.")
        return RemoveFeedbackPayload(movie=await known_movie(info, input.movie_id), removed=removed)

    @strawberry.mutation(
        directives=[Cost(weight=220)],
        description="Take a movie off the viewer's watchlist.",
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
            return NotOnWatchlist(message="You did not put this movie on your watchlist.")
        return RemoveFromWatchlistPayload(movie=await known_movie(info, input.movie_id))


async def remove(info: Info, movie_id: strawberry.ID, kinds: Sequence[Kind]) -> int:
    viewer = await info.context.require_viewer()
    key = local_id(movie_id, "Movie", "input.movieId")
    return await feedback.remove(info.context.sessions, viewer.id, key, kinds)


async def known_movie(info: Info, movie_id: strawberry.ID) -> Movie:
    movie = await movie_of(info.context, local_id(movie_id, "Movie", "input.movieId"))
    if movie is None:
        raise CallerError("The movie was deleted meanwhile.")
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


def of_own_list(info: Info, viewer: Viewer, event: Event) -> Event:
    """The event, without its list where that is another's: nobody tells what came of the lists of others."""
    if event.request_id is None or request_ids.is_of(info.context.settings, event.request_id, viewer.id):
        return event
    return replace(event, request_id=None)


def request_id_of(index: int, given: strawberry.ID | None) -> UUID | None:
    try:
        return None if given is None else UUID(given)
    except ValueError:
        raise feedback.InvalidFeedback("is not a list's `requestId`.", index, "requestId") from None
