"""An overview of the service for administrators."""

from datetime import date, datetime

import strawberry

from app.accounts.viewer import Role
from app.activity import lately
from app.ingest import dead_letters, streams
from app.ingest.streams import MAX_STREAMS
from app.telemetry import figures
from schema.core.directives import Cost, ListSize
from schema.execution.context import Info
from schema.execution.permissions import requires
from schema.types.operator.dead_letter import DeadLetterReason

MILLISECONDS = 1000
MAX_CODES = 40


@strawberry.type(description="The number of responses with an error.")
class ErrorCount:
    code: str = strawberry.field(description="The code in `extensions`.")
    count: int = strawberry.field(description="The number of errors.")


@strawberry.type(description="The ratings of a day.")
class DayRatings:
    day: date = strawberry.field(description="The day in UTC.")
    count: int = strawberry.field(description="The number of ratings.")


@strawberry.type(description="A stream of events.")
class StreamLag:
    stream: str = strawberry.field(description="The name of the stream.")
    partitions: int = strawberry.field(description="The number of partitions that were stored.")
    lag: str = strawberry.field(
        description="The events, or bytes of a file, that waited at `storedAt`, in decimal digits."
    )
    stored_at: datetime = strawberry.field(description="When an event was stored last.")


@strawberry.type(description="The dead letters of a reason.")
class DeadLetterCount:
    reason: DeadLetterReason = strawberry.field(description="Why the events were refused.")
    count: int = strawberry.field(description="The number of dead letters that are kept.")


@strawberry.type(description="An overview of the service. Requests are those of the process that answers.")
class ServiceOverview:
    since: datetime = strawberry.field(description="When the process started, from which it counts.")
    operations: int = strawberry.field(description="The number of queries and mutations.")
    mean_milliseconds: float | None = strawberry.field(
        description="The mean duration of these; null without any."
    )
    slow_milliseconds: float | None = strawberry.field(
        description=(
            "The time in which 95 of 100 of these end, rounded up to a bound of the metric; null if it is "
            "above the last bound, or without any."
        )
    )
    errors: list[ErrorCount] = strawberry.field(
        description="The errors in responses, by code.", directives=[ListSize(assumed_size=MAX_CODES)]
    )
    member_count: int = strawberry.field(
        description=f"The number of members; at most {lately.MOST:,} are counted."
    )
    ratings_by_day: list[DayRatings] = strawberry.field(
        description=f"The ratings of the last {lately.DAYS} days; of more than {lately.MOST:,} the newest.",
        directives=[ListSize(assumed_size=lately.DAYS)],
    )
    streams: list[StreamLag] = strawberry.field(
        description="The streams in which an event was stored last, latest first.",
        directives=[ListSize(assumed_size=MAX_STREAMS)],
    )
    dead_letters: list[DeadLetterCount] = strawberry.field(
        description="The kept dead letters, by reason.",
        directives=[ListSize(assumed_size=len(DeadLetterReason))],
    )


@strawberry.type
class ServiceQuery:
    @strawberry.field(
        directives=[Cost(weight=300)],
        description="An overview of the service: requests, members, ratings and streams.",
        extensions=requires(Role.ADMIN),
    )
    async def service(self, info: Info) -> ServiceOverview:
        sessions = info.context.sessions
        process = figures.figures()
        counted = await lately.lately(sessions)
        stored = await streams.states(sessions)
        refused = await dead_letters.count_by_reason(sessions)
        return ServiceOverview(
            since=figures.STARTED_AT,
            operations=process.operations,
            mean_milliseconds=None if process.mean is None else process.mean * MILLISECONDS,
            slow_milliseconds=None if process.within is None else process.within * MILLISECONDS,
            errors=[ErrorCount(code=code, count=count) for code, count in sorted(process.errors.items())],
            member_count=counted.members,
            ratings_by_day=[DayRatings(day=day, count=count) for day, count in counted.ratings],
            streams=[
                StreamLag(
                    stream=each.stream,
                    partitions=each.partitions,
                    lag=str(each.lag),
                    stored_at=each.stored_at,
                )
                for each in stored
            ],
            dead_letters=[DeadLetterCount(reason=reason, count=count) for reason, count in refused.items()],
        )
