"""Ratings and events of many members, sent by a service: `upsertRatings`, the rows of `recordFeedback`."""

from typing import Annotated, Any, Self

import strawberry

from app.accounts.api_keys import ApiKey, Scope
from app.ingest.member_batches.rows import MAX_ROWS, InvalidRows
from app.ingest.member_batches.store import MAX_KEY_LENGTH, MAX_REFUSED, Outcome
from schema.core.constraints import DECOMPOSED, Constraint
from schema.core.directives import Cost, ListSize
from schema.core.errors import BadArgument, Error
from schema.core.outcomes import outcomes
from schema.execution.context import Info
from schema.execution.permissions import requires_key
from schema.types.operator.dead_letter import DeadLetterReason

MAX_CHARACTERS = 4_000_000  # a body may have fewer
RULES = (
    f"At most {MAX_ROWS:,} rows as JSON lines, by the rules of events of streams: each is an object with "
    "`user`, the member's id in your system, and `movie`, with one of `id`, `imdbId`, `tmdbId`, "
    "`movielensId` and `title` with `year`. `time` is the time of the request by default."
)


def jsonl_field(description: str, *, required: bool = True) -> Any:
    directives = [Constraint(max_length=MAX_CHARACTERS), Cost(weight=28, per=1_000)]
    if required:
        return strawberry.field(directives=directives, description=f"{description} {RULES}")
    return strawberry.field(default=None, directives=directives, description=f"{description} {RULES}")


def idempotency_field() -> Any:
    return strawberry.field(
        default=None,
        directives=[Constraint(max_length=DECOMPOSED * MAX_KEY_LENGTH)],
        description="A unique id of the batch, 1 to 200 characters. A batch with the id of an earlier one, "
        "within 7 days, is not stored again: its outcome is that of the earlier one.",
    )


@strawberry.input(description="Ratings of members of the key's source.")
class UpsertRatingsInput:
    jsonl: str = jsonl_field("The ratings, each with `value`, the stars.")
    idempotency_key: str | None = idempotency_field()


@strawberry.type(description="A row that was not stored. The others were.")
class RefusedRow:
    position: int = strawberry.field(description="The position of the row in the batch, from 0.")
    reason: DeadLetterReason = strawberry.field(description="Why the row was refused.")
    rule: str = strawberry.field(description="The rule that the row breaks, for a person to read.")


@strawberry.type(description="The rows that were not refused are stored, in one transaction.")
class MemberRowsPayload:
    shown: strawberry.Private[Outcome]
    stored: int = strawberry.field(description="The number of rows that changed something.")
    repeated: int = strawberry.field(
        description="The number of rows that changed nothing: repeats, and ratings older than a stored one."
    )
    refused_count: int = strawberry.field(description="The number of rows that were refused.")
    already_stored: bool = strawberry.field(
        description="Whether the batch was stored by an earlier request with the same idempotency key."
    )

    @classmethod
    def of(cls, outcome: Outcome) -> Self:
        return cls(
            shown=outcome,
            stored=outcome.stored,
            repeated=outcome.repeated,
            refused_count=outcome.refused_count,
            already_stored=outcome.again,
        )

    @strawberry.field(
        directives=[ListSize(assumed_size=100, slicing_arguments=["first"])],
        description=f"The first refused rows, by position; of a batch at most {MAX_REFUSED:,}.",
    )
    def refused(
        self,
        first: Annotated[int, strawberry.argument(description="The number of rows, 1 to 1000.")] = 100,
    ) -> list[RefusedRow]:
        if not 1 <= first <= MAX_REFUSED:
            raise BadArgument("first", f"must be from 1 to {MAX_REFUSED}, not {first}.")
        shown = self.shown.refused[:first]
        return [RefusedRow(position=row.position, reason=row.reason, rule=row.rule) for row in shown]


@strawberry.type(description="The batch breaks a rule. None of it was stored.")
class InvalidMemberBatch(Error):
    pass


UpsertRatingsResult = Annotated[
    MemberRowsPayload | InvalidMemberBatch,
    strawberry.union("UpsertRatingsResult", description="Outcomes of `upsertRatings`."),
]


async def store(info: Info, jsonl: str, idempotency_key: str | None, *, ratings: bool) -> MemberRowsPayload:
    """Store the rows of the request's API key. Raises InvalidRows, and CallerError for another actor."""
    context = info.context
    actor = await context.actor()
    if not isinstance(actor, ApiKey) or Scope.MEMBERS not in actor.scopes:
        raise BadArgument(
            "input.jsonl", "needs an API key with the scope MEMBERS, without the header of a member."
        )
    outcome = await context.member_batches.store(
        context.sessions, context.settings, actor, jsonl, idempotency_key, ratings=ratings
    )
    return MemberRowsPayload.of(outcome)


@strawberry.type
class MemberBatchMutation:
    @strawberry.mutation(
        directives=[Cost(weight=400)],
        description="Store ratings of many members of your system. Members are made at their first rating. "
        "Of two ratings of a member and movie the later counts, so that a batch can be sent again.",
        extensions=requires_key(Scope.MEMBERS),
    )
    @outcomes({InvalidRows: InvalidMemberBatch})
    async def upsert_ratings(
        self,
        info: Info,
        input: Annotated[UpsertRatingsInput, strawberry.argument(description="The ratings.")],  # noqa: A002
    ) -> UpsertRatingsResult:
        return await store(info, input.jsonl, input.idempotency_key, ratings=True)
