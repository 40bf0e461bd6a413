"""Import a member's ratings and history from another service's export."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import strawberry

from app.accounts.viewer import Role
from app.ingest import import_history
from app.ingest.layouts import InvalidHistory, Source
from app.ingest.matching import MatchedBy, MovieMatch
from app.ingest.rows import Contents, Skipped
from schema.core.constraints import Constraint
from schema.core.directives import Cost, ListSize
from schema.core.enums import enum_of
from schema.core.errors import BadArgument, Error
from schema.core.outcomes import outcomes
from schema.execution.context import Info
from schema.execution.permissions import requires
from schema.types.import_file import ImportRatingsInput
from schema.types.movie import Movie, movie_of
from schema.types.user import User

MAX_ROWS_SHOWN = 1000
LINE = "The line where the row begins, from 1; in JSON, the number of the item."
FILE = "The row's file in the archive; null if no archive was sent."

enum_of(
    MatchedBy,
    "MatchedBy",
    "How a row was matched to a movie, most certain first.",
    {
        MatchedBy.ID: "By an id of IMDb, TMDB or MovieLens.",
        MatchedBy.TITLE_AND_YEAR: "By title and year, ignoring case, accents and punctuation.",
        MatchedBy.TITLE_AND_NEAR_YEAR: "By exact title and the year before or after, if no movie of the "
        "year itself matches. Review these rows.",
    },
)


@strawberry.type(description="A row that was not stored.")
class SkippedRow:
    line: int = strawberry.field(description=LINE)
    file: str | None = strawberry.field(description=FILE)
    named: str = strawberry.field(description="The movie's name in the row, or the row itself.")
    reason: str = strawberry.field(description="Why the row was skipped.")
    deprecated_name: str = strawberry.field(
        name="film",
        description="The movie's name in the row, or the row itself.",
        deprecation_reason="Use `SkippedRow.named`. "
        "Deprecated on 2026-11-29, works until 2027-05-28 at least.",
    )


@strawberry.type(description="A row that was matched to a movie.")
class ImportedRow:
    line: int = strawberry.field(description=LINE)
    file: str | None = strawberry.field(description=FILE)
    named: str = strawberry.field(description="The movie's name in the row.")
    matched_by: MatchedBy = strawberry.field(description="How the row was matched.")
    stars: float | None = strawberry.field(description="The row's rating, in stars.")
    said_at: datetime | None = strawberry.field(
        description="The row's date; null if it is missing or ambiguous."
    )
    movie_id: strawberry.Private[int]

    @classmethod
    def of(cls, match: MovieMatch) -> "ImportedRow":
        row = match.row
        stars = None if row.half_stars is None else row.half_stars / 2
        return cls(
            line=row.line,
            file=row.file,
            named=row.shown,
            matched_by=match.by,
            stars=stars,
            said_at=row.at,
            movie_id=match.movie_id,
        )

    @strawberry.field(description="The matched movie.")
    async def movie(self, info: Info) -> Movie | None:
        return await movie_of(info.context, self.movie_id)


ShownRows = Annotated[int, strawberry.argument(description="The number of rows, 1 to 1000.")]


@strawberry.type(description="The rows were stored. The next list reflects them.")
class ImportRatingsPayload:
    matches: strawberry.Private[Sequence[MovieMatch]]
    not_stored: strawberry.Private[Sequence[Skipped]]
    source: Source = strawberry.field(description="The service that exported the file.")
    rated: int = strawberry.field(description="The number of rated movies in the file.")
    watched: int = strawberry.field(description="The number of movies watched but not rated.")
    watchlisted: int = strawberry.field(description="The number of movies for the watchlist.")
    liked: int = strawberry.field(description="The number of movies liked but not rated.")
    changed: int = strawberry.field(
        description="The number of these movies with new data. Importing the same file again changes none."
    )
    viewer: User = strawberry.field(description="The member, with the ratings.")

    @strawberry.field(
        directives=[ListSize(assumed_size=100, slicing_arguments=["first"])],
        description="The matched rows, least certain first: by near year, then by title and year, then by "
        "id; each group in file order.",
    )
    def rows(
        self,
        first: ShownRows = 100,
        matched_by: Annotated[
            list[MatchedBy] | None,
            strawberry.argument(
                description="Return only rows matched in these ways.",
                directives=[Constraint(max_items=len(MatchedBy))],
            ),
        ] = None,
    ) -> list[ImportedRow]:
        wanted = self.matches if matched_by is None else [row for row in self.matches if row.by in matched_by]
        return [ImportedRow.of(match) for match in wanted[: rows_shown(first)]]

    @strawberry.field(
        directives=[ListSize(assumed_size=MAX_ROWS_SHOWN, slicing_arguments=["first"])],
        description="The rows that were not stored, in file order.",
    )
    def skipped(self, first: ShownRows = MAX_ROWS_SHOWN) -> list[SkippedRow]:
        return [
            SkippedRow(
                line=row.line, file=row.file, named=row.shown, reason=row.reason, deprecated_name=row.shown
            )
            for row in self.not_stored[: rows_shown(first)]
        ]

    @strawberry.field(description="The number of rows that were not stored.")
    def skipped_count(self) -> int:
        return len(self.not_stored)


def rows_shown(first: int) -> int:
    if not 1 <= first <= MAX_ROWS_SHOWN:
        raise BadArgument("first", f"must be from 1 to {MAX_ROWS_SHOWN}, not {first}.")
    return first


@strawberry.type(description="The file is unreadable or too large. Nothing was stored.")
class InvalidImport(Error):
    pass


ImportRatingsResult = Annotated[
    ImportRatingsPayload | InvalidImport,
    strawberry.union("ImportRatingsResult", description="Outcomes of `importRatings`."),
]


@strawberry.type
class ImportMutation:
    @strawberry.mutation(
        directives=[Cost(weight=450)],
        description="Import the viewer's ratings, history, likes or watchlist from another service. Movies "
        "are matched by id, else by title and year. Ambiguous rows are skipped, with the reason.",
        extensions=requires(Role.USER),
    )
    @outcomes({InvalidHistory: InvalidImport})
    async def import_ratings(
        self,
        info: Info,
        input: Annotated[ImportRatingsInput, strawberry.argument(description="The file.")],  # noqa: A002
    ) -> ImportRatingsResult:
        context = info.context
        viewer = await context.require_viewer()
        done = await import_history.import_history(
            context.sessions, context.snapshot, viewer.id, input.csv, input.order(), file=input.file
        )
        return ImportRatingsPayload(
            source=done.source,
            rated=done.rated,
            watched=done.unrated[Contents.WATCHED],
            watchlisted=done.unrated[Contents.WATCHLIST],
            liked=done.unrated[Contents.LIKED],
            changed=done.changed,
            matches=done.matches,
            not_stored=done.skipped,
            viewer=User.of(viewer),
        )
