"""Rating mutations: rate a movie, remove a rating."""

from typing import Annotated

import strawberry

from app.accounts.viewer import Role
from app.activity import ratings
from schema.core.constraints import GLOBAL_ID
from schema.core.directives import Cost
from schema.core.errors import Error
from schema.core.global_ids import local_id
from schema.core.outcomes import outcomes
from schema.execution.context import Info
from schema.execution.permissions import requires
from schema.types.movie import Movie, Rating, rated_movie


@strawberry.input(description="A rating of a movie.")
class RateMovieInput:
    movie_id: strawberry.ID = strawberry.field(directives=[GLOBAL_ID], description="The movie.")
    stars: float = strawberry.field(description="0.5 to 5, in steps of 0.5.")


@strawberry.input(description="The rating to remove.")
class RemoveRatingInput:
    movie_id: strawberry.ID = strawberry.field(directives=[GLOBAL_ID], description="The movie.")


@strawberry.type(description="The rating was stored. The next list reflects it.")
class RateMoviePayload:
    rating: Rating = strawberry.field(description="The rating. Its movie's rating figures include it.")


@strawberry.type(description="The rating was removed. The next list no longer reflects it.")
class RemoveRatingPayload:
    movie: Movie = strawberry.field(description="The movie. Its rating figures no longer include the rating.")


@strawberry.type(description="No movie has this id.")
class MovieNotFound(Error):
    pass


@strawberry.type(description="The stars are not 0.5 to 5 in steps of 0.5.")
class InvalidStars(Error):
    pass


@strawberry.type(description="The viewer has not rated the movie.")
class NotRated(Error):
    pass


RateMovieResult = Annotated[
    RateMoviePayload | MovieNotFound | InvalidStars,
    strawberry.union("RateMovieResult", description="Outcomes of `rateMovie`."),
]
RemoveRatingResult = Annotated[
    RemoveRatingPayload | NotRated,
    strawberry.union("RemoveRatingResult", description="Outcomes of `removeRating`."),
]


@strawberry.type
class RatingMutation:
    @strawberry.mutation(
        directives=[Cost(weight=240)],
        description="Rate a movie. This replaces the viewer's earlier rating.",
        extensions=requires(Role.USER),
    )
    @outcomes({ratings.MovieNotFound: MovieNotFound, ratings.InvalidStars: InvalidStars})
    async def rate_movie(
        self,
        info: Info,
        input: Annotated[RateMovieInput, strawberry.argument(description="The rating.")],  # noqa: A002
    ) -> RateMovieResult:
        viewer = await info.context.require_viewer()
        movie_id = local_id(input.movie_id, "Movie", "input.movieId")
        rated = await ratings.rate(info.context.sessions, viewer.id, movie_id, input.stars)
        return RateMoviePayload(rating=Rating.of(rated.rating, rated.stats))

    @strawberry.mutation(
        directives=[Cost(weight=220)],
        description="Remove the viewer's rating of a movie.",
        extensions=requires(Role.USER),
    )
    @outcomes({ratings.NotRated: NotRated})
    async def remove_rating(
        self,
        info: Info,
        input: Annotated[RemoveRatingInput, strawberry.argument(description="The movie.")],  # noqa: A002
    ) -> RemoveRatingResult:
        viewer = await info.context.require_viewer()
        movie_id = local_id(input.movie_id, "Movie", "input.movieId")
        stats = await ratings.remove(info.context.sessions, viewer.id, movie_id)
        return RemoveRatingPayload(movie=await rated_movie(info.context, movie_id, stats))
