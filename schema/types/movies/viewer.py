"""A movie as the viewer knows it: rating, match, watchlist, watching and rejection."""

import strawberry

from app.activity.movie_states import MovieState
from schema.core.directives import Cost
from schema.execution.context import Info
from schema.types.movie import Movie, Rating, ViewerMatch, viewer_match


@strawberry.type(description="What a movie is to the viewer.")
class MovieViewer:
    movie: strawberry.Private[Movie]
    rating: Rating | None = strawberry.field(description="The viewer's rating; null if not rated.")
    on_watchlist: bool = strawberry.field(description="Whether the movie is on the viewer's watchlist.")
    watched_fraction: float | None = strawberry.field(
        description="The largest fraction of the movie that the viewer watched, 0 to 1; null if unknown."
    )
    hidden: bool = strawberry.field(
        description="Whether the viewer rejected the movie, so that it is not recommended."
    )

    @classmethod
    def of(cls, movie: Movie, state: MovieState) -> "MovieViewer":
        fraction = state.watched_fraction
        return cls(
            movie=movie,
            rating=None if state.rating is None else Rating.of(state.rating),
            on_watchlist=state.on_watchlist,
            watched_fraction=None if fraction is None else round(fraction, 4),
            hidden=state.hidden,
        )

    @strawberry.field(
        directives=[Cost(weight=1, viewer=70)],
        description="How well the movie matches the viewer; null if unknown.",
    )
    async def match(self, info: Info) -> ViewerMatch | None:
        return await viewer_match(self.movie, info)
