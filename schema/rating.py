"""Ratings: one as a node, and giving or taking one back."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Self

import strawberry
from strawberry import relay

from app import ratings
from app.accounts import Role
from schema.access import requires
from schema.constraints import GLOBAL_ID
from schema.context import Context, Info
from schema.cost import Cost
from schema.errors import CallerError, Error
from schema.movie import Movie, movie_of
from schema.node import InvalidKey, local_id, whole_number


@strawberry.input(description="Stars for a film.")
class RateMovieInput:
    movie_id: strawberry.ID = strawberry.field(directives=[GLOBAL_ID], description="The movie.")
    stars: float = strawberry.field(description="0.5 to 5 in halves.")


@strawberry.input(description="A rating to take back.")
class RemoveRatingInput:
    movie_id: strawberry.ID = strawberry.field(directives=[GLOBAL_ID], description="The movie.")


@strawberry.type(description="The stars that the viewer gave a film.")
class Rating(relay.Node):
    id: relay.NodeID[str]
    stars: float = strawberry.field(description="0.5 to 5 in halves.")
    rated_at: datetime = strawberry.field(description="When the film was last rated.")
    movie_id: strawberry.Private[int]
    stats: strawberry.Private[ratings.Stats | None] = None

    @classmethod
    def of(cls, rating: ratings.Rating, stats: ratings.Stats | None = None) -> Self:
        """With `stats` its film shows these, which may be newer than the catalogue in memory."""
        return cls(
            id=f"{rating.user_id}.{rating.movie_id}",
            stars=rating.stars,
            rated_at=rating.rated_at,
            movie_id=rating.movie_id,
            stats=stats,
        )

    @classmethod
    async def resolve_nodes(  # type: ignore[override]
        cls, *, info: Info, node_ids: Iterable[str], **_: object
    ) -> list[Self | None]:
        """Only the viewer's own, under the ids of the viewer."""
        keys = [key_of(node_id) for node_id in node_ids]
        viewer = await info.context.viewer()
        if viewer is None:
            return [None for _ in keys]
        mine = [movie_id for user_id, movie_id in keys if user_id == viewer.id]
        found = await ratings.ratings_of(info.context.sessions, viewer.id, mine)
        return [
            cls.of(found[movie_id]) if user_id == viewer.id and movie_id in found else None
            for user_id, movie_id in keys
        ]

    @strawberry.field(directives=[Cost(weight=2)], description="The film.")
    async def movie(self, info: Info) -> Movie:
        return await rated_movie(info.context, self.movie_id, self.stats)


@strawberry.type(description="The rating is stored, and counts from the next list on.")
class RateMoviePayload:
    rating: Rating = strawberry.field(description="The rating; its film has the figures with it.")


@strawberry.type(description="The rating is gone, and counts no more from the next list on.")
class RemoveRatingPayload:
    movie: Movie = strawberry.field(description="The film, with the figures without the rating.")


@strawberry.type(description="There is no such film.")
class MovieNotFound(Error):
    pass


@strawberry.type(description="Stars run from 0.5 to 5 in halves.")
class InvalidStars(Error):
    pass


@strawberry.type(description="The viewer has not rated the film.")
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
        description="Give a film stars, in place of those the viewer gave it before.",
        extensions=requires(Role.USER),
    )
    async def rate_movie(
        self,
        info: Info,
        input: Annotated[RateMovieInput, strawberry.argument(description="The stars.")],  # noqa: A002
    ) -> RateMovieResult:
        viewer = await info.context.require_viewer()
        movie_id = local_id(input.movie_id, "Movie", "input.movieId")
        try:
            rated = await ratings.rate(info.context.sessions, viewer.id, movie_id, input.stars)
        except ratings.MovieNotFound as error:
            return MovieNotFound(message=str(error))
        except ratings.InvalidStars as error:
            return InvalidStars(message=str(error))
        return RateMoviePayload(rating=Rating.of(rated.rating, rated.stats))

    @strawberry.mutation(
        directives=[Cost(weight=220)],
        description="Take back the viewer's rating of a film.",
        extensions=requires(Role.USER),
    )
    async def remove_rating(
        self,
        info: Info,
        input: Annotated[RemoveRatingInput, strawberry.argument(description="The film.")],  # noqa: A002
    ) -> RemoveRatingResult:
        viewer = await info.context.require_viewer()
        movie_id = local_id(input.movie_id, "Movie", "input.movieId")
        try:
            stats = await ratings.remove(info.context.sessions, viewer.id, movie_id)
        except ratings.NotRated as error:
            return NotRated(message=str(error))
        return RemoveRatingPayload(movie=await rated_movie(info.context, movie_id, stats))


async def rated_movie(context: Context, movie_id: int, stats: ratings.Stats | None) -> Movie:
    movie = await movie_of(context, movie_id)
    if movie is None:
        raise CallerError("The film was deleted meanwhile.")
    if stats is not None:
        movie = replace(movie, rating_count=stats.rating_count, half_stars_sum=stats.half_stars_sum)
    return movie


def key_of(node_id: str) -> tuple[int, int]:
    """User and film of a rating. Raises InvalidKey."""
    user_id, _, movie_id = node_id.partition(".")
    try:
        return whole_number(user_id), whole_number(movie_id)
    except InvalidKey:
        raise InvalidKey(node_id) from None
