"""The file of an import: its bytes, layout and columns."""

from typing import Any

import strawberry

from app.ingest.layouts import LONGEST_NAME, Source, named_layout
from app.ingest.rows import Contents, DateOrder, Order
from schema.core.constraints import Constraint
from schema.core.directives import Cost
from schema.core.enums import enum_of
from schema.core.errors import BadArgument

MAX_SCALE = 1000

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
            Cost(weight=20, per=1_000),
        ],
        description="The file as it was exported, CSV or JSON, at most 20,000 rows and 3,000,000 characters; "
        "a longer one can be sent in parts. A row has at most 100,000 characters, a title 300, and the "
        "header 200 columns.",
    )
    file: str | None = strawberry.field(
        default=None,
        directives=[
            Constraint(max_length=4_000_000),  # a body may have fewer
            Cost(weight=20, per=1_000),
        ],
        description="The bytes of the file in Base64, also as a data URL: a zip archive, or text in UTF-8, "
        "UTF-16, UTF-32 or Windows-1252, also in gzip or bzip2. Of an archive at most 12,000,000 bytes "
        "and 60,000 rows are read, and it has at most 1,000 files.",
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
