"""Bringing a history from elsewhere."""

import enum
from typing import Annotated

import strawberry

from app import history_files, imports
from app.accounts import Role
from schema.access import requires
from schema.context import Info
from schema.cost import Cost, ListSize
from schema.errors import Error
from schema.user import User


@strawberry.enum(description="Where a file of ratings comes from.")
class ImportSource(enum.Enum):
    LETTERBOXD = strawberry.enum_value(
        "LETTERBOXD",
        description="`ratings.csv`, `diary.csv`, `reviews.csv` or `watched.csv` of an export. Its "
        "`watchlist.csv` looks just like `watched.csv` and would be read as such: do not send it.",
    )
    IMDB = strawberry.enum_value("IMDB", description="`ratings.csv` of Your ratings, exported.")
    TRAKT = strawberry.enum_value("TRAKT", description="Ratings or history, exported as CSV.")
    MOVIELENS = strawberry.enum_value(
        "MOVIELENS", description="A member's exported ratings, or one member's rows of a data set."
    )


@strawberry.input(description="A file of ratings.")
class ImportRatingsInput:
    csv: str = strawberry.field(
        description="The file as it was exported, at most 20,000 rows and 3,000,000 characters; "
        "a longer one can be sent in parts."
    )
    source: ImportSource | None = strawberry.field(
        default=None, description="Where it comes from; by default the header tells."
    )


@strawberry.type(description="A row of a file of which nothing was stored.")
class SkippedRow:
    line: int = strawberry.field(description="The line on which it begins; the header is line 1.")
    film: str = strawberry.field(description="The film as the row names it, or the row.")
    reason: str = strawberry.field(description="Why nothing came of it, for a person to read.")


@strawberry.type(description="What the file told is stored, and counts from the next list on.")
class ImportRatingsPayload:
    source: ImportSource = strawberry.field(description="Where the file comes from.")
    rated: int = strawberry.field(description="How many films of the file have a rating.")
    watched: int = strawberry.field(description="How many were watched and not rated.")
    changed: int = strawberry.field(
        description="How many of these said something new: a file that is sent again says nothing new."
    )
    skipped: list[SkippedRow] = strawberry.field(
        directives=[ListSize(assumed_size=1000)], description="The rows that are not stored, each one."
    )
    viewer: User = strawberry.field(description="The member, with the ratings.")


@strawberry.type(description="The file cannot be read, or is too large; nothing of it is stored.")
class InvalidImport(Error):
    pass


ImportRatingsResult = Annotated[
    ImportRatingsPayload | InvalidImport,
    strawberry.union("ImportRatingsResult", description="Outcomes of `importRatings`."),
]


@strawberry.type
class ImportMutation:
    @strawberry.mutation(
        directives=[Cost(weight=2000)],
        description="Bring the viewer's ratings, and what they have watched, from elsewhere. Films are known "
        "by their ids, else by title and year.",
        extensions=requires(Role.USER),
    )
    async def import_ratings(
        self,
        info: Info,
        input: Annotated[ImportRatingsInput, strawberry.argument(description="The file.")],  # noqa: A002
    ) -> ImportRatingsResult:
        context = info.context
        viewer = await context.require_viewer()
        source = None if input.source is None else history_files.Source[input.source.name]
        try:
            done = await imports.import_history(
                context.sessions, context.snapshot, viewer.id, input.csv, source
            )
        except history_files.InvalidHistory as error:
            return InvalidImport(message=str(error))
        return ImportRatingsPayload(
            source=ImportSource[done.source.name],
            rated=done.rated,
            watched=done.watched,
            changed=done.changed,
            skipped=[SkippedRow(line=row.line, film=row.shown, reason=row.reason) for row in done.skipped],
            viewer=User.of(viewer),
        )
