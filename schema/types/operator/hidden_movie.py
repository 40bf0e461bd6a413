"""Movies that operators hide from all lists."""

from typing import Annotated

import strawberry

from app.accounts.viewer import Role
from app.activity.ratings import MovieNotFound
from app.catalog import hiding
from schema.core.constraints import GLOBAL_ID
from schema.core.cursors import Cursors
from schema.core.directives import Cost
from schema.core.global_ids import local_id
from schema.core.outcomes import outcomes
from schema.core.pagination import After, Connection, Edge, First, id_of, page_of, window
from schema.execution.context import Info
from schema.execution.permissions import requires
from schema.types.movie import Movie, movies_of
from schema.types.movie_editing import MovieUnknown, live_of, written

HIDDEN_MOVIES = "hiddenMovies"


@strawberry.type(description="A page of hidden movies.")
class HiddenMovieConnection(Connection[Edge[Movie]]):
    pass


@strawberry.input(description="The movie to hide or to show.")
class SetMovieHiddenInput:
    movie_id: strawberry.ID = strawberry.field(directives=[GLOBAL_ID], description="The movie.")
    hidden: bool = strawberry.field(description="Whether lists leave the movie out.")


@strawberry.type(description="The change is stored. All processes follow it within a second.")
class SetMovieHiddenPayload:
    movie: Movie = strawberry.field(description="The movie.")
    hidden: bool = strawberry.field(description="Whether lists leave the movie out.")


SetMovieHiddenResult = Annotated[
    SetMovieHiddenPayload | MovieUnknown,
    strawberry.union("SetMovieHiddenResult", description="Outcomes of `setMovieHidden`."),
]


@strawberry.type
class HiddenMovieQuery:
    @strawberry.field(
        directives=[Cost(weight=160)],
        description="The movies that lists leave out, by id.",
        extensions=requires(Role.CURATOR),
    )
    async def hidden_movies(self, info: Info, first: First, after: After = None) -> HiddenMovieConnection:
        context = info.context
        asked = window(Cursors.of(info, HIDDEN_MOVIES), first, after)
        found = await hiding.hidden_movies(context.sessions, asked.count + 1, id_of(asked))
        movies = movies_of(context.snapshot, found)
        return page_of(
            HiddenMovieConnection,
            asked,
            [movies[movie_id] for movie_id in found if movie_id in movies],
            lambda movie: Edge(cursor=asked.cursors.encode(movie.id), node=movie),
        )


@strawberry.type
class HiddenMovieMutation:
    @strawberry.mutation(
        directives=[Cost(weight=1200)],
        description="Hide a movie from all lists, or show it again. A hidden movie keeps its page and its "
        "ratings, and browsing and search find it. Recommendations, home pages, lists of groups, onboarding "
        "and similar movies leave it out.",
        extensions=requires(Role.CURATOR),
    )
    @outcomes({MovieNotFound: MovieUnknown})
    async def set_movie_hidden(
        self,
        info: Info,
        input: Annotated[SetMovieHiddenInput, strawberry.argument(description="The movie.")],  # noqa: A002
    ) -> SetMovieHiddenResult:
        context = info.context
        movie_id = local_id(input.movie_id, "Movie", "input.movieId")
        await hiding.set_hidden(context.sessions, live_of(context), movie_id, hidden=input.hidden)
        return SetMovieHiddenPayload(movie=await written(context, movie_id), hidden=input.hidden)
