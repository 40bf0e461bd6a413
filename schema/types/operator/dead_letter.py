"""Dead letters: the refused events of streams, for operators."""

from datetime import datetime
from typing import Annotated, Self

import strawberry

from app.accounts.viewer import Role
from app.ingest import dead_letters
from app.ingest.stream_events import Refusal
from schema.core.cursors import Cursors
from schema.core.directives import Cost
from schema.core.enums import enum_of
from schema.core.pagination import After, Connection, Edge, First, id_of, page_of, window
from schema.execution.context import Info
from schema.execution.permissions import requires

DEAD_LETTERS = "deadLetters"
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
        description="The refused events of streams. `marquee ingest dead replay` stores them again.",
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
