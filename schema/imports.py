"""Bringing a history from elsewhere."""

from typing import Annotated

import strawberry

from app import imports
from app.accounts import Role
from app.history_files import Contents, InvalidHistory, Source
from schema.access import requires
from schema.constraints import Constraint
from schema.context import Info
from schema.cost import Cost, ListSize
from schema.enum import enum_of
from schema.errors import Error
from schema.user import User

enum_of(
    Source,
    "ImportSource",
    "Where a file comes from.",
    {
        Source.LETTERBOXD: "`ratings.csv`, `diary.csv` or `reviews.csv` of an export; with `contents` also "
        "its `watched.csv`, `watchlist.csv` or `likes/films.csv`.",
        Source.IMDB: "Your ratings, exported; with `contents` also your watchlist or another list.",
        Source.TRAKT: "Ratings or history, exported as CSV; with `contents` also the watchlist or a list.",
        Source.MOVIELENS: "A member's exported ratings, or one member's rows of a data set; with `contents` "
        "also the exported wishlist.",
    },
)
enum_of(
    Contents,
    "ImportContents",
    "What a file says of the films to which it gives no rating.",
    {
        Contents.WATCHED: "They were watched, to the end.",
        Contents.WATCHLIST: "The viewer means to see them.",
        Contents.LIKED: "The viewer likes them.",
    },
)


@strawberry.input(description="A file of what the viewer has rated, watched or listed.")
class ImportRatingsInput:
    csv: str = strawberry.field(
        directives=[Constraint(max_length=4_000_000)],  # a body may have fewer
        description="The file as it was exported, at most 20,000 rows and 3,000,000 characters; "
        "a longer one can be sent in parts.",
    )
    source: Source | None = strawberry.field(
        default=None, description="Where it comes from; by default the header tells."
    )
    contents: Contents | None = strawberry.field(
        default=None,
        description="What it says of the films to which it gives no rating. By default the header tells; if "
        "it does not, the file is refused, since lists look the same whatever they are for.",
    )


@strawberry.type(description="A row of a file of which nothing was stored.")
class SkippedRow:
    line: int = strawberry.field(description="The line on which it begins; the header is line 1.")
    film: str = strawberry.field(description="The film as the row names it, or the row.")
    reason: str = strawberry.field(description="Why nothing came of it, for a person to read.")


@strawberry.type(description="What the file told is stored, and counts from the next list on.")
class ImportRatingsPayload:
    source: Source = strawberry.field(description="Where the file comes from.")
    rated: int = strawberry.field(description="How many films of the file have a rating.")
    watched: int = strawberry.field(description="How many were watched and not rated.")
    watchlisted: int = strawberry.field(description="How many the viewer means to see.")
    liked: int = strawberry.field(description="How many the viewer likes and has not rated.")
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
        description="Bring the viewer's ratings, and what they have watched, liked or mean to see, from "
        "elsewhere. Films are known by their ids, else by title and year.",
        extensions=requires(Role.USER),
    )
    async def import_ratings(
        self,
        info: Info,
        input: Annotated[ImportRatingsInput, strawberry.argument(description="The file.")],  # noqa: A002
    ) -> ImportRatingsResult:
        context = info.context
        viewer = await context.require_viewer()
        try:
            done = await imports.import_history(
                context.sessions, context.snapshot, viewer.id, input.csv, input.source, input.contents
            )
        except InvalidHistory as error:
            return InvalidImport(message=str(error))
        return ImportRatingsPayload(
            source=done.source,
            rated=done.rated,
            watched=done.unrated if done.contents is Contents.WATCHED else 0,
            watchlisted=done.unrated if done.contents is Contents.WATCHLIST else 0,
            liked=done.unrated if done.contents is Contents.LIKED else 0,
            changed=done.changed,
            skipped=[SkippedRow(line=row.line, film=row.shown, reason=row.reason) for row in done.skipped],
            viewer=User.of(viewer),
        )
