"""`upsertMovies`: add and change many movies of another system at once."""

from collections.abc import Mapping
from typing import Annotated, Any, cast

import strawberry
from strawberry import UNSET
from strawberry.types.arguments import InputContext
from strawberry.types.base import StrawberryObjectDefinition

from app.accounts.viewer import Role
from app.catalog import validation
from app.catalog.batches import edit
from app.catalog.batches.rows import MAX_ROWS, InvalidBatch, RowOutcome, RowStatus
from app.catalog.edit import ModelChanging
from app.catalog.edit import MovieExists as Exists
from app.catalog.validation import RULES, camel
from schema.core.constraints import DECOMPOSED, Constraint
from schema.core.directives import Cost, ListSize
from schema.core.enums import enum_of
from schema.core.errors import Error
from schema.core.outcomes import outcomes
from schema.execution.context import Info
from schema.execution.permissions import requires
from schema.types.movie import Movie, movies_of
from schema.types.movie_batches.keys import MAX_EXTERNAL_ID
from schema.types.movie_editing import (
    AddMovieInput,
    InvalidMovie,
    LocalizedTitleInput,
    MovieExists,
    Texts,
    busy,
    live_of,
)
from schema.types.movie_facts import SOURCE

UpsertStatus = RowStatus
enum_of(
    UpsertStatus,
    "UpsertStatus",
    "What became of a row of a batch.",
    {
        RowStatus.ADDED: "The movie was added.",
        RowStatus.UPDATED: "The movie was changed.",
        RowStatus.UNCHANGED: "The movie was like this before.",
        RowStatus.REFUSED: "The row breaks a rule. Nothing of it was stored.",
    },
)


# The rows are charged as arguments; what is selected of more outcomes is charged by the time it takes.
OUTCOMES = ListSize(assumed_size=50)


def names(length: int, items: int) -> list[object]:
    """The limits of a list of names. It costs nothing beside its row."""
    return [Constraint(max_length=DECOMPOSED * length, max_items=DECOMPOSED * items)]


@strawberry.input(
    description="A movie of another system, by the rules of `AddMovieInput`. A field that is left out keeps "
    "its value, and null clears it. Genres that the catalog lacks are added to it."
)
class UpsertMovieInput(AddMovieInput):
    external_id: str = strawberry.field(
        directives=[MAX_EXTERNAL_ID], description="The id in the other system, 1 to 200 characters."
    )
    title: str | None = strawberry.field(  # type: ignore[assignment] # a known movie has one
        directives=[Constraint(max_length=DECOMPOSED * 300)],
        default=UNSET,
        description="The title, at most 300 characters. A new movie needs one.",
    )
    localized_titles: list[LocalizedTitleInput] | None = strawberry.field(
        directives=[Constraint(max_items=400)],
        default=UNSET,
        description="The titles in other languages, at most 100.",
    )
    genres: Texts | None = strawberry.field(
        directives=names(50, 10), default=UNSET, description="Names of genres, at most 10."
    )
    countries: Texts | None = strawberry.field(
        directives=names(20, 30), default=UNSET, description="ISO 3166-1 codes of countries, at most 30."
    )
    keywords: Texts | None = strawberry.field(
        directives=names(100, 100), default=UNSET, description="Themes, at most 100."
    )
    directors: Texts | None = strawberry.field(
        directives=names(200, 20), default=UNSET, description="Names of the directors, at most 20."
    )
    cast: Texts | None = strawberry.field(
        directives=names(200, 100), default=UNSET, description="Names of the cast, at most 100."
    )


def as_given(_: type, value: Mapping[str, Any], __: InputContext) -> Mapping[str, Any]:
    """The row as it arrived: to make a thousand inputs takes a tenth of a second on the event loop."""
    return value


definition: StrawberryObjectDefinition = UpsertMovieInput.__strawberry_definition__  # type: ignore[attr-defined]
definition.from_input = as_given
NAMES = {camel(name): name for name in RULES}


@strawberry.input(description="Movies of another system.")
class UpsertMoviesInput:
    source: str = strawberry.field(
        directives=[SOURCE], description="The system: 1 to 64 lower-case letters, digits and `.`, `_` or `-`."
    )
    movies: list[UpsertMovieInput] = strawberry.field(
        # A movie with many new people takes three times its price, but 1,000 must stay within MAX_COST.
        directives=[Constraint(max_items=MAX_ROWS), Cost(weight=8)],
        description="The movies, at most 1,000. A movie that has an id of this source is changed; else one "
        "with an IMDb, TMDB or MovieLens id of the row gets the external id; else a movie is added.",
    )


@strawberry.type(description="The outcome of a row of `upsertMovies`.")
class UpsertedMovie:
    position: int = strawberry.field(description="The position of the row, from 0.")
    external_id: str = strawberry.field(description="The external id in the row.")
    status: UpsertStatus = strawberry.field(description="What became of the row.")
    movie: Movie | None = strawberry.field(description="The movie; null if the row was refused.")
    error: Error | None = strawberry.field(
        description="Why the row was refused: `InvalidMovie` or `MovieExists`."
    )


@strawberry.type(
    description="The rows were processed, each as a whole or not at all. All processes serve the movies "
    "within a second."
)
class UpsertMoviesPayload:
    added: int = strawberry.field(description="The number of added movies.")
    updated: int = strawberry.field(description="The number of changed movies.")
    unchanged: int = strawberry.field(description="The number of movies that were like this before.")
    refused: int = strawberry.field(description="The number of refused rows.")
    rows: list[UpsertedMovie] = strawberry.field(
        directives=[OUTCOMES], description="The outcome of each row, in their order."
    )


@strawberry.type(description="The batch breaks a rule as a whole, which the message names.")
class InvalidMovieBatch(Error):
    pass


UpsertMoviesResult = Annotated[
    UpsertMoviesPayload | InvalidMovieBatch,
    strawberry.union("UpsertMoviesResult", description="Outcomes of `upsertMovies`."),
]


def facts_of(row: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """The external id and the fields of a row, by their names in `validation.RULES`."""
    facts = {NAMES[name]: value for name, value in row.items() if name in NAMES}
    if titles := facts.get("localized_titles"):
        facts["localized_titles"] = [(each["language"], each["title"]) for each in titles]
    ids = {name: str(value) for name, value in facts.items() if name.endswith("_id") and value is not None}
    return row["externalId"], facts | ids


def error_of(error: Exception | None) -> Error | None:
    if error is None:
        return None
    return (MovieExists if isinstance(error, Exists) else InvalidMovie)(message=str(error))


@strawberry.type
class UpsertMoviesMutation:
    @strawberry.mutation(
        directives=[Cost(weight=1100)],
        description="Add and change up to 1,000 movies of another system, by their ids there. The same batch "
        "again changes nothing. A refused row does not keep the others from being stored.",
        extensions=requires(Role.CURATOR),
    )
    @outcomes(
        {
            InvalidBatch: InvalidMovieBatch,
            validation.InvalidMovie: InvalidMovieBatch,
            ModelChanging: busy,
        }
    )
    async def upsert_movies(
        self,
        info: Info,
        input: Annotated[UpsertMoviesInput, strawberry.argument(description="The movies.")],  # noqa: A002
    ) -> UpsertMoviesResult:
        context = info.context
        rows = cast("list[Mapping[str, Any]]", input.movies)
        found = await edit.upsert(
            context.sessions, live_of(context), input.source, len(rows), map(facts_of, rows)
        )
        context.renew()
        return payload_of(found, info)


def payload_of(found: list[RowOutcome], info: Info) -> UpsertMoviesPayload:
    ids = [row.movie_id for row in found if row.movie_id is not None]
    movies = movies_of(info.context.snapshot, ids)
    counts = {status: sum(row.status is status for row in found) for status in RowStatus}
    return UpsertMoviesPayload(
        added=counts[RowStatus.ADDED],
        updated=counts[RowStatus.UPDATED],
        unchanged=counts[RowStatus.UNCHANGED],
        refused=counts[RowStatus.REFUSED],
        rows=[
            UpsertedMovie(
                position=row.position,
                external_id=row.external_id,
                status=row.status,
                movie=None if row.movie_id is None else movies.get(row.movie_id),
                error=error_of(row.error),
            )
            for row in found
        ],
    )
