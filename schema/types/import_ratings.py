"""Import a member's ratings and history from another service's export."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import strawberry

from app.accounts.viewer import Role
from app.ingest import import_history
from app.ingest.layouts import LONGEST_NAME, InvalidHistory, Source, named_layout
from app.ingest.matching import Match, MatchedBy
from app.ingest.rows import Contents, DateOrder, Order, Skipped
from schema.core.constraints import Constraint
from schema.core.directives import Cost, ListSize
from schema.core.enums import enum_of
from schema.core.errors import BadArgument, Error
from schema.core.outcomes import outcomes
from schema.execution.context import Info
from schema.execution.permissions import requires
from schema.types.movie import Movie, movie_of
from schema.types.user import User

MAX_ROWS_SHOWN = 1000
MAX_SCALE = 1000
LINE = "The line where the row begins, from 1; in JSON, the number of the item."
FILE = "The row's file in the archive; null if no archive was sent."

enum_of(
    Source,
    "ImportSource",
    "The service that exported a file.",
    {
        Source.LETTERBOXD: "The whole export as a zip archive, or its `ratings.csv`, `diary.csv` or "
        "`reviews.csv`, or a file in the layout that Letterboxd imports; with `contents` also `watched.csv`, "
        "`watchlist.csv`, `likes/films.csv` or a list.",
        Source.IMDB: "Your ratings, exported, also before 2018; with `contents` also your watchlist or "
        "another list.",
        Source.TRAKT: "The whole export as a zip archive, or one of its JSON files; also CSV: ratings or "
        "history, and with `contents` the watchlist or a list.",
        Source.MOVIELENS: "A member's exported ratings, or one member's rows of a data set; with `contents` "
        "also the exported wishlist.",
        Source.SIMKL: "A backup as CSV or JSON.",
        Source.TMDB: "Ratings, exported as CSV, or the API's rated movies as JSON; with `contents` also the "
        "watchlist or favorites as CSV.",
        Source.NETFLIX: "The viewing history. It has neither years nor ids, so that its rows are all skipped "
        "and reported: a title alone does not name one movie.",
        Source.PLEX: "A library or the history as JSON from a Plex server (`MediaContainer`).",
        Source.JELLYFIN: "Items as JSON from a Jellyfin server, with `ProviderIds`.",
        Source.OTHER: "Another site or program. Name its columns in `columns`.",
    },
)
enum_of(
    Contents,
    "ImportContents",
    "The meaning of a file's rows without a rating.",
    {
        Contents.WATCHED: "The viewer watched the movies to the end.",
        Contents.WATCHLIST: "The viewer wants to watch the movies.",
        Contents.LIKED: "The viewer likes the movies.",
    },
)
enum_of(
    DateOrder,
    "ImportDateOrder",
    "The order of day and month in numeric dates such as 3/4/2014.",
    {DateOrder.DAY_FIRST: "Day first: 3 April.", DateOrder.MONTH_FIRST: "Month first: March 4."},
)
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


def column(description: str) -> Any:
    return strawberry.field(
        default=None, description=description, directives=[Constraint(max_length=LONGEST_NAME)]
    )


@strawberry.input(
    description="The columns of a CSV file, each by its name in the header. Case, spaces and punctuation are "
    "ignored, and so are other columns."
)
class ImportColumns:
    title: str | None = column("The movie's title.")
    original_title: str | None = column("The title in the original language.")
    year: str | None = column("The release year or date.")
    kind: str | None = column("Whether it is a movie, a series, ...")
    imdb_id: str | None = column("The IMDb id, its digits or its URL.")
    tmdb_id: str | None = column("The TMDB id of the movie.")
    movielens_id: str | None = column("The MovieLens id.")
    rating: str | None = column("The rating. Needs `ratingScale`.")
    rated_at: str | None = column("The date of the rating.")
    watched_at: str | None = column("The date of watching. It marks a movie without a rating as watched.")
    listed_at: str | None = column("The date when the movie was added to a list.")


@strawberry.input(
    description="An exported file of the viewer's ratings, history or lists, as `csv` or `file`."
)
class ImportRatingsInput:
    csv: str | None = strawberry.field(
        default=None,
        directives=[
            Constraint(max_length=4_000_000),  # a body may have fewer
            Cost(weight=28, per=1_000),
        ],
        description="The file as it was exported, CSV or JSON, at most 20,000 rows and 3,000,000 characters; "
        "a longer one can be sent in parts. A row has at most 100,000 characters, a title 300, and the "
        "header 200 columns.",
    )
    file: str | None = strawberry.field(
        default=None,
        directives=[
            Constraint(max_length=4_000_000),  # a body may have fewer
            Cost(weight=28, per=1_000),
        ],
        description="The bytes of the file in Base64, also as a data URL: a zip archive, or text in UTF-8, "
        "UTF-16 or Windows-1252. Of an archive at most 12,000,000 bytes and 60,000 rows are read, and it has "
        "at most 1,000 files.",
    )
    source: Source | None = strawberry.field(
        default=None, description="The service that exported the file. By default detected from the header."
    )
    contents: Contents | None = strawberry.field(
        default=None,
        description="The meaning of rows without a rating. By default detected from the header. If that "
        "fails, the file is refused, since all kinds of lists look the same.",
    )
    date_order: DateOrder | None = strawberry.field(
        default=None,
        description="The order of day and month in numeric dates such as 3/4/2014. By default detected from "
        "the file's other dates. If that fails, such a date counts as missing.",
    )
    columns: ImportColumns | None = strawberry.field(
        default=None, description="The columns of a CSV file with an unknown header."
    )
    rating_scale: float | None = strawberry.field(
        default=None,
        description="The highest possible rating, such as 5, 10 or 100; at most 1,000. By default the scale "
        "of the exporting service. Ratings are rounded to half stars.",
    )

    def order(self) -> Order:
        """Raises InvalidHistory and BadArgument."""
        scale = self.rating_scale
        if scale is not None and not 0 < scale <= MAX_SCALE:
            raise BadArgument("input.ratingScale", f"must be above 0 and at most {MAX_SCALE}, not {scale:g}.")
        named = {} if self.columns is None else vars(self.columns)
        named = {field: name for field, name in named.items() if name}
        return Order(
            source=self.source,
            contents=self.contents,
            date_order=self.date_order,
            scale=scale,
            layout=None if self.columns is None else named_layout(named, scale),
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
    def of(cls, match: Match) -> "ImportedRow":
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
    matches: strawberry.Private[Sequence[Match]]
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
        directives=[Cost(weight=600)],
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
