"""Curator mutations: add, update and delete movies, effective at once."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any

import strawberry
from strawberry import UNSET, relay
from strawberry.scalars import JSON

from app.accounts.viewer import Role
from app.activity import ratings
from app.catalog import edit, validation
from app.serving.live import Live
from schema.core.constraints import DECOMPOSED, GLOBAL_ID, Constraint
from schema.core.directives import Cost
from schema.core.errors import CallerError, Error, ErrorCode
from schema.core.global_ids import local_id
from schema.core.outcomes import outcomes
from schema.execution.context import Context, Info
from schema.execution.permissions import requires
from schema.types.movie import Movie as MovieNode
from schema.types.movie import movie_of

Texts = list[str]
EXTERNAL_ID = Constraint(max_length=50)


def at_most(length: int, *, items: int | None = None) -> list[object]:
    """A constraint above the limit of `app.catalog.validation`, whose violation is an expected outcome."""
    if items is None:
        return [Constraint(max_length=DECOMPOSED * length)]
    return [Constraint(max_length=DECOMPOSED * length, max_items=DECOMPOSED * items), Cost(weight=10)]


@strawberry.input(description="A movie's title in a language.")
class LocalizedTitleInput:
    language: str = strawberry.field(
        directives=[Constraint(max_length=20)], description="ISO 639-1 code, such as `de`."
    )
    title: str = strawberry.field(directives=at_most(300), description="The title, at most 300 characters.")


@strawberry.input(description="The movie to add. Only the title is required.")
class AddMovieInput:
    title: str = strawberry.field(directives=at_most(300), description="The title, at most 300 characters.")
    original_title: str | None = strawberry.field(
        directives=at_most(300),
        default=UNSET,
        description="The title in the original language, at most 300 characters.",
    )
    localized_titles: list[LocalizedTitleInput] | None = strawberry.field(
        directives=[Constraint(max_items=400), Cost(weight=10)],
        default=UNSET,
        description="The titles in other languages, at most 100, for `localizedTitle` and for search.",
    )
    overview: str | None = strawberry.field(
        directives=at_most(5_000),
        default=UNSET,
        description="A summary of the plot, at most 5,000 characters.",
    )
    genres: Texts | None = strawberry.field(
        directives=at_most(50, items=10),
        default=UNSET,
        description="Names of genres in the catalog, at most 10.",
    )
    year: int | None = strawberry.field(
        default=UNSET, description="Year of the first release. `releaseDate` takes precedence."
    )
    release_date: date | None = strawberry.field(
        default=UNSET, description="Date of the first release, from 1870 to ten years ahead."
    )
    runtime_minutes: int | None = strawberry.field(default=UNSET, description="Length in minutes.")
    original_language: str | None = strawberry.field(
        directives=at_most(20), default=UNSET, description="ISO 639-1 code, such as `en`."
    )
    countries: Texts | None = strawberry.field(
        directives=at_most(20, items=30),
        default=UNSET,
        description="ISO 3166-1 codes of the producing countries, such as `FR`, at most 30.",
    )
    keywords: Texts | None = strawberry.field(
        directives=at_most(100, items=100),
        default=UNSET,
        description="Themes, one or two words each, at most 100.",
    )
    collection: str | None = strawberry.field(
        directives=at_most(200),
        default=UNSET,
        description="The franchise that the movie belongs to, at most 200 characters.",
    )
    directors: Texts | None = strawberry.field(
        directives=at_most(200, items=20),
        default=UNSET,
        description="Names of the directors, in credit order, at most 20.",
    )
    cast: Texts | None = strawberry.field(
        directives=at_most(200, items=100),
        default=UNSET,
        description="Names of the cast, leading roles first, at most 100.",
    )
    popularity: float | None = strawberry.field(default=UNSET, description="The popularity on TMDB.")
    vote_average: float | None = strawberry.field(
        default=UNSET, description="The mean vote on TMDB, 0 to 10."
    )
    vote_count: int | None = strawberry.field(default=UNSET, description="The number of votes on TMDB.")
    poster_path: str | None = strawberry.field(
        directives=at_most(500),
        default=UNSET,
        description="The poster's TMDB path, such as `/poster.jpg`, or an https URL.",
    )
    backdrop_path: str | None = strawberry.field(
        directives=at_most(500),
        default=UNSET,
        description="The TMDB path of a wide picture, such as `/backdrop.jpg`, or an https URL.",
    )
    trailer_url: str | None = strawberry.field(
        directives=at_most(500), default=UNSET, description="The https URL of a page that plays the trailer."
    )
    tagline: str | None = strawberry.field(
        directives=at_most(300),
        default=UNSET,
        description="The slogan of the movie's advertisements, at most 300 characters.",
    )
    certification: str | None = strawberry.field(
        directives=at_most(20),
        default=UNSET,
        description="The age certification of the United States, such as `PG-13`.",
    )
    imdb_id: strawberry.ID | None = strawberry.field(
        directives=[EXTERNAL_ID], default=UNSET, description="The IMDb id, such as `tt0133093`."
    )
    tmdb_id: strawberry.ID | None = strawberry.field(
        directives=[EXTERNAL_ID], default=UNSET, description="The TMDB id."
    )
    movielens_id: strawberry.ID | None = strawberry.field(
        directives=[EXTERNAL_ID], default=UNSET, description="The MovieLens id."
    )
    attributes: JSON | None = strawberry.field(
        directives=[Constraint(max_length=16_000, max_items=200)],
        default=UNSET,
        description="An object of further facts: at most 50, nested at most 4 levels, at most 4,000 "
        "characters as JSON. It replaces the attributes as a whole.",
    )


@strawberry.input(description="The changes to a movie, by the rules of `AddMovieInput`. Null clears a field.")
class UpdateMovieInput(AddMovieInput):
    title: str | None = strawberry.field(  # type: ignore[assignment] # only here may it be left out
        directives=at_most(300),
        default=UNSET,
        description="The title, at most 300 characters; it cannot be cleared.",
    )
    movie_id: strawberry.ID = strawberry.field(directives=[GLOBAL_ID], description="The movie.")


@strawberry.input(description="The movie to delete.")
class DeleteMovieInput:
    movie_id: strawberry.ID = strawberry.field(directives=[GLOBAL_ID], description="The movie.")


@strawberry.type(description="The movie was added. All processes serve it within a second.")
class AddMoviePayload:
    movie: MovieNode = strawberry.field(description="The movie.")


@strawberry.type(description="The movie was updated. All processes serve the change within a second.")
class UpdateMoviePayload:
    movie: MovieNode = strawberry.field(description="The movie.")


@strawberry.type(description="The movie was deleted, with all its ratings and events.")
class DeleteMoviePayload:
    deleted_movie_id: strawberry.ID = strawberry.field(description="The id of the deleted movie.")
    deleted_rating_count: int = strawberry.field(description="The number of deleted ratings.")


@strawberry.type(description="A field breaks a rule, which the message names. Nothing was changed.")
class InvalidMovie(Error):
    pass


@strawberry.type(description="Another movie has this IMDb, TMDB or MovieLens id. Nothing was changed.")
class MovieExists(Error):
    pass


@strawberry.type(description="No movie has this id.")
class MovieUnknown(Error):
    pass


AddMovieResult = Annotated[
    AddMoviePayload | InvalidMovie | MovieExists,
    strawberry.union("AddMovieResult", description="Outcomes of `addMovie`."),
]
UpdateMovieResult = Annotated[
    UpdateMoviePayload | InvalidMovie | MovieExists | MovieUnknown,
    strawberry.union("UpdateMovieResult", description="Outcomes of `updateMovie`."),
]
DeleteMovieResult = Annotated[
    DeleteMoviePayload | MovieUnknown,
    strawberry.union("DeleteMovieResult", description="Outcomes of `deleteMovie`."),
]


def given(facts: AddMovieInput | UpdateMovieInput) -> Mapping[str, Any]:
    named = {name: value for name, value in vars(facts).items() if value is not UNSET and name != "movie_id"}
    if titles := named.get("localized_titles"):
        named["localized_titles"] = [(each.language, each.title) for each in titles]
    return {name: str(value) if name.endswith("_id") and value is not None else value
            for name, value in named.items()}  # fmt: skip


def live_of(context: Context) -> Live:
    assert context.live is not None, "a service has it"
    return context.live


async def written(context: Context, movie_id: int) -> MovieNode:
    """The movie as served after the change."""
    context.renew()
    movie = await movie_of(context, movie_id)
    assert movie is not None, "it has just been written"
    return movie


def busy(error: edit.ModelChanging) -> CallerError:
    return CallerError(str(error), ErrorCode.SERVICE_UNAVAILABLE)


@strawberry.type
class MovieMutation:
    @strawberry.mutation(
        directives=[Cost(weight=1450)],
        description="Add a movie. It appears at once in search, similar movies and recommendations. Until "
        "the next training it is ranked by its content.",
        extensions=requires(Role.CURATOR),
    )
    @outcomes(
        {
            validation.InvalidMovie: InvalidMovie,
            edit.MovieExists: MovieExists,
            edit.ModelChanging: busy,
        }
    )
    async def add_movie(
        self,
        info: Info,
        input: Annotated[AddMovieInput, strawberry.argument(description="The movie.")],  # noqa: A002
    ) -> AddMovieResult:
        context = info.context
        movie_id = await edit.add(context.sessions, live_of(context), given(input))
        return AddMoviePayload(movie=await written(context, movie_id))

    @strawberry.mutation(
        directives=[Cost(weight=1300)],
        description="Update a movie. The model keeps what it learned from the movie's ratings.",
        extensions=requires(Role.CURATOR),
    )
    @outcomes(
        {
            validation.InvalidMovie: InvalidMovie,
            edit.MovieExists: MovieExists,
            ratings.MovieNotFound: MovieUnknown,
            edit.ModelChanging: busy,
        }
    )
    async def update_movie(
        self,
        info: Info,
        input: Annotated[UpdateMovieInput, strawberry.argument(description="The changes.")],  # noqa: A002
    ) -> UpdateMovieResult:
        context = info.context
        movie_id = local_id(input.movie_id, "Movie", "input.movieId")
        await edit.change(context.sessions, live_of(context), movie_id, given(input))
        return UpdateMoviePayload(movie=await written(context, movie_id))

    @strawberry.mutation(
        directives=[Cost(weight=1200)],
        description="Delete a movie with all its ratings and events. This cannot be undone.",
        extensions=requires(Role.CURATOR),
    )
    @outcomes({ratings.MovieNotFound: MovieUnknown, edit.ModelChanging: busy})
    async def delete_movie(
        self,
        info: Info,
        input: Annotated[DeleteMovieInput, strawberry.argument(description="The movie.")],  # noqa: A002
    ) -> DeleteMovieResult:
        context = info.context
        movie_id = local_id(input.movie_id, "Movie", "input.movieId")
        count = await edit.remove(context.sessions, live_of(context), movie_id)
        deleted = strawberry.ID(relay.to_base64("Movie", movie_id))
        return DeleteMoviePayload(deleted_movie_id=deleted, deleted_rating_count=count)
