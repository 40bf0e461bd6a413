"""Ratings: one as a node, and giving or taking one back."""

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


@strawberry.input(description="Stars for a movie.")
class RateMovieInput:
    movie_id: strawberry.ID = strawberry.field(directives=[GLOBAL_ID], description="The movie.")
    stars: float = strawberry.field(description="0.5 to 5 in halves.")


@strawberry.input(description="A rating to take back.")
class RemoveRatingInput:
    movie_id: strawberry.ID = strawberry.field(directives=[GLOBAL_ID], description="The movie.")


@strawberry.type(description="The rating is stored, and counts from the next list on.")
class RateMoviePayload:
    rating: Rating = strawberry.field(description="The rating; its movie has the figures with it.")


@strawberry.type(description="The rating is gone, and counts no more from the next list on.")
class RemoveRatingPayload:
    movie: Movie = strawberry.field(description="The movie, with the figures without the rating.")


@strawberry.type(description="There is no such movie.")
class MovieNotFound(Error):
    pass


@strawberry.type(description="Stars run from 0.5 to 5 in halves.")
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
        description="Give a movie stars, in place of those the viewer gave it before.",
        extensions=requires(Role.USER),
    )
    @outcomes({ratings.MovieNotFound: MovieNotFound, ratings.InvalidStars: InvalidStars})
    async def rate_movie(
        self,
        info: Info,
        input: Annotated[RateMovieInput, strawberry.argument(description="The stars.")],  # noqa: A002
    ) -> RateMovieResult:
        viewer = await info.context.require_viewer()
        movie_id = local_id(input.movie_id, "Movie", "input.movieId")
        rated = await ratings.rate(info.context.sessions, viewer.id, movie_id, input.stars)
        return RateMoviePayload(rating=Rating.of(rated.rating, rated.stats))

    @strawberry.mutation(
        directives=[Cost(weight=220)],
        description="Take back the viewer's rating of a movie.",
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
