"""Pages of movies in an order, with the number of all of them and their facets."""

from contextlib import suppress
from typing import Annotated

import strawberry

from app.catalog.browse import Key, MovieSort, OrderField
from app.serving.snapshot import MovieFilter
from schema.core.directives import Cost
from schema.core.pagination import Connection, Edge, Window, row_id
from schema.execution.context import Info
from schema.types.movie import Movie
from schema.types.movie_filter import MovieOrderInput
from schema.types.movies.facets import Facets, facets_of

OrderBy = Annotated[
    MovieOrderInput | None,
    strawberry.argument(description="The sort order. A cursor is valid only in its own order."),
]


@strawberry.type(description="A page of movies, in the requested order.")
class MovieConnection(Connection[Edge[Movie]]):
    total_count: int = strawberry.field(description="The number of movies on all pages.")
    movie_filter: strawberry.Private[MovieFilter]

    @strawberry.field(
        directives=[Cost(weight=30)], description="The movies on all pages, counted by their facts."
    )
    async def facets(self, info: Info) -> Facets:
        return await facets_of(info.context.snapshot, self.movie_filter)


def key_of(order: MovieSort, asked: Window) -> Key | None:
    """The sort key in a cursor of movies. Raises BadArgument if the cursor is not of this order."""
    match asked.key:
        case None:
            return None
        case (value, movie_id):
            kind = str if order.field is OrderField.TITLE else float | int
            if value is None or (isinstance(value, kind) and not isinstance(value, bool)):
                with suppress(ValueError):
                    return value, row_id(movie_id)
    raise asked.invalid_cursor("this field in this order")
