"""Dead letters: the refused events of streams, for operators, who store them again."""

from datetime import datetime
from typing import Annotated, Self

import strawberry

from app.accounts.viewer import Role
from app.ingest import dead_letters
from app.ingest.member_batches.store import REPLAYED_AT_ONCE
from app.ingest.store_events import REPEATED, STORED
from app.ingest.stream_events import Refusal
from schema.core.constraints import Constraint
from schema.core.cursors import Cursors
from schema.core.directives import Cost
from schema.core.enums import enum_of
from schema.core.errors import BadArgument
from schema.core.pagination import After, Connection, Edge, First, id_of, page_of, window
from schema.execution.context import Info
from schema.execution.permissions import requires

DEAD_LETTERS = "deadLetters"
BEYOND_ALL = 2**63 - 1  # ids
MAX_DIGITS = 19
DeadLetterReason = Refusal  # import it from here, where its values get their descriptions

enum_of(
    Refusal,
    "DeadLetterReason",
    "Why an event of a stream was refused.",
    {
        Refusal.MALFORMED: "The line is neither a JSON event of a known version nor a log line.",
        Refusal.TIME: "The time is missing, unreadable or before 2000.",
        Refusal.FUTURE: "The time is more than 5 minutes ahead.",
        Refusal.MEMBER: "There is no valid user id.",
        Refusal.MOVIE: "There is no valid name of a movie.",
        Refusal.UNKNOWN_MOVIE: "No movie, or more than one, of the catalog has this name.",
        Refusal.VALUE: "A rating, minute, fraction or position is outside its range.",
    },
)


@strawberry.type(description="An event of a stream that was refused.")
class DeadLetter:
    reason: Refusal = strawberry.field(description="Why the event was refused.")
    rule: str = strawberry.field(description="The rule that the event breaks, for a person to read.")
    stream: str = strawberry.field(description="The stream: of a Kafka topic or a file.")
    partition: int = strawberry.field(description="The partition of the topic; 0 for a file.")
    position: str = strawberry.field(
        description="The offset in the partition, or the byte in the file, in decimal digits."
    )
    line: str = strawberry.field(description="The line, cut to 16,384 characters.")
    is_whole: bool = strawberry.field(
        description="Whether `line` is the whole line, unchanged, so that it can be replayed."
    )
    received_at: datetime = strawberry.field(description="When the event was refused first.")

    @classmethod
    def of(cls, entry: dead_letters.DeadLetterEntry) -> Self:
        return cls(
            reason=entry.reason,
            rule=entry.rule,
            stream=entry.stream,
            partition=entry.partition,
            position=str(entry.position),
            line=entry.raw_line,
            is_whole=entry.is_whole,
            received_at=entry.received_at,
        )


@strawberry.type(description="A page of dead letters, newest first.")
class DeadLetterConnection(Connection[Edge[DeadLetter]]):
    pass


@strawberry.type
class DeadLetterQuery:
    @strawberry.field(
        directives=[Cost(weight=160)],
        description="The refused events of streams. `replayDeadLetters` stores them again.",
        extensions=requires(Role.ADMIN),
    )
    async def dead_letters(
        self,
        info: Info,
        first: First,
        after: After = None,
        reason: Annotated[
            Refusal | None,
            strawberry.argument(description="Only events that were refused for this reason."),
        ] = None,
    ) -> DeadLetterConnection:
        asked = window(Cursors.of(info, DEAD_LETTERS), first, after)
        found = await dead_letters.entries(info.context.sessions, asked.count + 1, id_of(asked), reason)
        return page_of(
            DeadLetterConnection,
            asked,
            found,
            lambda entry: Edge(cursor=asked.cursors.encode(entry.id), node=DeadLetter.of(entry)),
        )


@strawberry.input(description="The dead letters to store again.")
class ReplayDeadLettersInput:
    reason: Refusal | None = strawberry.field(
        default=None, description="Only events that were refused for this reason."
    )
    before: str | None = strawberry.field(
        default=None,
        directives=[Constraint(max_length=MAX_DIGITS)],
        description="`next` of the call before; by default the newest are first.",
    )


@strawberry.type(description="Dead letters were read again. Those that are refused again remain.")
class ReplayDeadLettersPayload:
    stored: int = strawberry.field(description="The number of events that were stored.")
    repeated: int = strawberry.field(description="The number of events that had been stored already.")
    refused: int = strawberry.field(description="The number of events that were refused again.")
    next: str | None = strawberry.field(
        description="Pass it as `before` to go on with older ones; null if there were none left to read."
    )


@strawberry.type
class DeadLetterMutation:
    @strawberry.mutation(
        directives=[Cost(weight=600)],
        description=f"Store refused events that are valid now, as after a movie was added: at most "
        f"{REPLAYED_AT_ONCE}, newest first. Lines that are not whole are passed over.",
        extensions=requires(Role.ADMIN),
    )
    async def replay_dead_letters(
        self,
        info: Info,
        input: Annotated[ReplayDeadLettersInput, strawberry.argument(description="The events.")],  # noqa: A002
    ) -> ReplayDeadLettersPayload:
        context = info.context
        counts, lowest = await context.member_batches.replay(
            context.sessions, context.settings, before_in(input.before), input.reason
        )
        return ReplayDeadLettersPayload(
            stored=counts[STORED],
            repeated=counts[REPEATED],
            refused=counts.total() - counts[STORED] - counts[REPEATED],
            next=None if lowest is None else str(lowest),
        )


def before_in(given: str | None) -> int:
    if given is None:
        return BEYOND_ALL
    if not (given.isascii() and given.isdigit() and int(given) <= BEYOND_ALL):
        raise BadArgument("input.before", "must be `next` of a call before.")
    return int(given)
