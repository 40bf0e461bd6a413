"""Catalog queries: a movie, a page of movies, a search, and nodes by id."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from inspect import isawaitable
from typing import Annotated, Any

import numpy as np
import strawberry
from numpy.typing import NDArray
from strawberry import relay
from strawberry.types.base import StrawberryObjectDefinition

from app.activity import ratings
from app.catalog import search
from app.catalog.browse import MovieSort
from app.catalog.search import SearchMatch
from schema.core.constraints import GLOBAL_ID, MAX_ID_LENGTH, Constraint
from schema.core.cursors import Cursors
from schema.core.directives import PUBLIC, Cost, ListSize
from schema.core.enums import enum_of
from schema.core.global_ids import InvalidKey, invalid_id, local_id, split_id
from schema.core.pagination import (
    MAX_PAGE,
    After,
    Before,
    Connection,
    Edge,
    First,
    FirstOrNone,
    Last,
    Window,
    page_info,
    row_id,
    window,
)
from schema.execution.context import Context, Info
from schema.types.movie import Movie, movie_of
from schema.types.movie_filter import Filter, wanted
from schema.types.movies.facets import Facets, facets_of
from schema.types.movies.pages import MovieConnection, OrderBy, page_of_movies
from schema.types.person import Genre

MOVIES, SEARCH = "movies", "search"
MAX_QUERY = 200  # characters


enum_of(
    SearchMatch,
    "SearchMatch",
    "How a search matched a movie.",
    {
        SearchMatch.TITLE: "By a title, optionally with its year or people.",
        SearchMatch.PERSON: "By a director or cast member.",
        SearchMatch.WORDS: "By words in its titles and overview.",
        SearchMatch.MEANING: "By the meaning of the query; only if it names no title or person.",
    },
)


@strawberry.type(description="A movie in the search results.")
class SearchEdge(Edge[Movie]):
    score: float = strawberry.field(
        description="Relevance from 0 to 1, in descending order: 0.6 or more for a title or person, 0.3 or "
        "more for words in titles and overviews, less for meaning or part of a title."
    )
    matched_by: SearchMatch = strawberry.field(description="How the movie was matched.")


@strawberry.type(description="A page of search results, best first.")
class SearchConnection(Connection[SearchEdge]):
    total_count: int = strawberry.field(description="The number of movies found, on all pages.")
    positions: strawberry.Private[NDArray[np.int32]]

    @strawberry.field(directives=[Cost(weight=10)], description="The movies found, counted by their facts.")
    async def facets(self, info: Info) -> Facets:
        return await facets_of(info.context.snapshot, self.positions)


@strawberry.type
class CatalogQuery:
    @strawberry.field(
        directives=[PUBLIC, Cost(weight=80)], description="The movie with this id; null if there is none."
    )
    async def movie(
        self,
        info: Info,
        id: Annotated[  # noqa: A002
            strawberry.ID, strawberry.argument(description="The movie's id.", directives=[GLOBAL_ID])
        ],
    ) -> Movie | None:
        movie = await movie_of(info.context, local_id(id, "Movie", "id"))
        return movie and await up_to_date(info.context, movie)

    @strawberry.field(
        directives=[PUBLIC, Cost(weight=10)],
        description="Movies in the given order, by default most rated first.",
    )
    async def movies(
        self,
        info: Info,
        first: FirstOrNone = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: Filter = None,  # noqa: A002 - the contract's name
        order_by: OrderBy = None,
    ) -> MovieConnection:
        asked = window(Cursors.of(info, MOVIES), first, after, last, before)
        order = order_by.order() if order_by else MovieSort()
        snapshot = info.context.snapshot
        return await page_of_movies(snapshot, asked, wanted(filter, snapshot), order)

    @strawberry.field(
        directives=[PUBLIC, Cost(weight=120)],
        description="Search movies by any of their titles, optionally with year, director and actors, as "
        "`pulp fiction tarantino 1994`. Incomplete words, typing errors and `2` for `II` match too. Words in "
        "overviews match next. A query that names no title or person also matches by meaning, such as "
        '`samurai defend a village`. `"dark knight" -rises` matches the exact phrase and excludes `rises`.',
    )
    async def search(
        self,
        info: Info,
        query: Annotated[
            str,
            strawberry.argument(
                description="The search text.",
                directives=[Constraint(max_length=MAX_QUERY), Cost(weight=20, per=10)],
            ),
        ],
        first: First,
        after: After = None,
        filter: Filter = None,  # noqa: A002 - the contract's name
    ) -> SearchConnection:
        asked = window(Cursors.of(info, SEARCH), first, after)
        snapshot = info.context.snapshot
        hits = await search.search(
            info.context.sessions,
            snapshot,
            info.context.model,
            "".join(char if char.isprintable() else " " for char in query),
            wanted(filter, snapshot),
            count=asked.count,
            key=score_of(asked),
        )
        edges = [
            SearchEdge(
                cursor=asked.cursors.encode(score, int(snapshot.movie_ids[position])),
                score=score,
                matched_by=kind,
                node=Movie.at(snapshot, position),
            )
            for position, score, kind in zip(
                hits.positions.tolist(), hits.scores.tolist(), hits.matched_by, strict=True
            )
        ]
        return SearchConnection(
            edges=edges,
            page_info=page_info(edges, has_previous=hits.has_previous, has_next=hits.has_next),
            total_count=hits.found.size,
            positions=hits.found,
        )

    @strawberry.field(directives=[PUBLIC, ListSize(assumed_size=25)], description="All genres, by name.")
    def genres(self, info: Info) -> list[Genre]:
        return [Genre.of(row) for row in info.context.snapshot.genres]

    @strawberry.field(
        directives=[PUBLIC, Cost(weight=10)],
        description="The object with this id; null if there is none or the viewer may not see it.",
    )
    async def node(
        self,
        info: Info,
        id: Annotated[  # noqa: A002
            strawberry.ID, strawberry.argument(description="The object's id.", directives=[GLOBAL_ID])
        ],
    ) -> relay.Node | None:
        return (await nodes_of(info, {"id": id}))[0]

    @strawberry.field(
        directives=[PUBLIC, ListSize(slicing_arguments=["ids"])],
        description="The objects with these ids, in the same order.",
    )
    async def nodes(
        self,
        info: Info,
        ids: Annotated[
            list[strawberry.ID],
            strawberry.argument(
                description="The objects' ids.",
                directives=[Constraint(max_items=MAX_PAGE, max_length=MAX_ID_LENGTH), Cost(weight=1, per=2)],
            ),
        ],
    ) -> list[relay.Node | None]:
        return await nodes_of(info, {f"ids[{place}]": id_ for place, id_ in enumerate(ids)})


async def up_to_date(context: Context, movie: Movie) -> Movie:
    """The movie with its current rating figures, so that a member sees their own new rating counted."""
    stats = await ratings.current_stats(context.sessions, movie.id)
    return replace(movie, rating_count=stats.rating_count, half_stars_sum=stats.half_stars_sum)


async def nodes_of(info: Info, ids: Mapping[str, strawberry.ID]) -> list[relay.Node | None]:
    """Resolve ids, keyed by argument name, to nodes in the same order; one batch for each type."""
    named = {argument: type_and_key(info, argument, id_) for argument, id_ in ids.items()}
    keys: dict[type[relay.Node], list[str]] = {}
    for type_, key in named.values():
        keys.setdefault(type_, []).append(key)
    found: dict[tuple[type[relay.Node], str], Any] = {}
    for type_, theirs in keys.items():
        try:
            asked = type_.resolve_nodes(info=info, node_ids=theirs)
            nodes = await asked if isawaitable(asked) else asked
        except InvalidKey as error:
            strange = next(argument for argument, name in named.items() if name == (type_, error.key))
            raise invalid_id(strange) from None
        found |= {(type_, key): node for key, node in zip(theirs, nodes, strict=True)}
    return [found[name] for name in named.values()]


def type_and_key(info: Info, argument: str, id_: strawberry.ID) -> tuple[type[relay.Node], str]:
    """Split a node id into its type and key. Raises BadArgument if the type is not a node."""
    name, key = split_id(id_, argument)
    definition = info.schema.get_type_by_name(name)
    if (
        not isinstance(definition, StrawberryObjectDefinition)
        or definition.is_interface
        or not issubclass(definition.origin, relay.Node)
    ):
        raise invalid_id(argument)
    return definition.origin, key


def score_of(asked: Window) -> tuple[float, int] | None:
    match asked.key:
        case None:
            return None
        case (float(score), movie_id):
            with suppress(ValueError):
                return score, row_id(movie_id)
    raise asked.invalid_cursor()
