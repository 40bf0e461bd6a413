"""Pages of movies in an order, with the number of all of them and their facets."""

import asyncio
from collections import OrderedDict
from contextlib import suppress
from typing import Annotated, Any

import strawberry

from app.catalog import browse
from app.catalog.browse import Key, MovieSort, OrderField
from app.serving.snapshot import MovieFilter, Snapshot
from schema.core.directives import Cost
from schema.core.pagination import Connection, Edge, Window, page_info, row_id
from schema.execution.compiled.shared import Shared
from schema.execution.context import Info
from schema.types.movie import Movie
from schema.types.movie_filter import MovieOrderInput
from schema.types.movies.facets import Facets, facets_of

OrderBy = Annotated[
    MovieOrderInput | None,
    strawberry.argument(description="The sort order. A cursor is valid only in its own order."),
]


KEPT_PAGES = 100  # of a snapshot; a page of 100 movies takes 20 kB


@strawberry.type(description="A page of movies, in the requested order.")
class MovieConnection(Shared, Connection[Edge[Movie]]):
    total_count: int = strawberry.field(description="The number of movies on all pages.")
    movie_filter: strawberry.Private[MovieFilter]

    @strawberry.field(
        directives=[Cost(weight=30)], description="The movies on all pages, counted by their facts."
    )
    async def facets(self, info: Info) -> Facets:
        return await facets_of(info.context.snapshot, self.movie_filter)


async def page_of_movies(
    snapshot: Snapshot, asked: Window, kind: MovieFilter, order: MovieSort
) -> MovieConnection:
    """The page of a window; one object for all requests that ask for it in this snapshot.

    Raises BadArgument as `key_of` does.
    """
    key = key_of(order, asked)
    kept: OrderedDict[Any, MovieConnection] = snapshot.derived.setdefault(page_of_movies, OrderedDict())
    place = asked, kind, order
    if place in kept:
        kept.move_to_end(place)
        return kept[place]
    page = await asyncio.to_thread(
        browse.page, snapshot, kind, order, asked.count, key, backward=asked.backward
    )
    cursors = asked.cursors.encode_all(page.keys)
    edges = [
        Edge(cursor=cursor, node=Movie.at(snapshot, position))
        for position, cursor in zip(page.positions.tolist(), cursors, strict=True)
    ]
    kept[place] = found = MovieConnection(
        edges=edges,
        page_info=page_info(edges, has_previous=page.has_previous, has_next=page.has_next),
        total_count=page.total,
        movie_filter=kind,
    ).shared()
    if len(kept) > KEPT_PAGES:
        kept.popitem(last=False)
    return found


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
