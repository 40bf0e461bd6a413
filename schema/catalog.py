"""Asking for films: one, a page of them, a search; and for any node by its id."""

from dataclasses import replace
from inspect import isawaitable
from typing import Annotated, Any

import strawberry
from strawberry import relay
from strawberry.types.base import StrawberryObjectDefinition

from app import catalog, ratings
from app import search as searching
from app.catalog import Key, Order, OrderField
from schema.context import Context, Info
from schema.cost import Cost, ListSize
from schema.errors import CallerError
from schema.filter import MovieFilterInput, MovieOrderInput, wanted
from schema.movie import Genre, Movie, movie_of
from schema.node import MAX_ID, local_id, split_id
from schema.pagination import MAX_PAGE, encode_cursor, window

MOVIES, SEARCH = "movies", "search"
MAX_QUERY = 200  # characters

First = Annotated[int | None, strawberry.argument(description="How many films, 1 to 100.")]
Filter = Annotated[MovieFilterInput | None, strawberry.argument(description="Only films of this kind.")]


@strawberry.type(description="A film in a page of them.")
class MovieEdge:
    cursor: str = strawberry.field(description="Give it as `after` or `before` to continue from this film.")
    node: Movie = strawberry.field(description="The film.")


@strawberry.type(description="A page of films.")
class MovieConnection:
    edges: list[MovieEdge] = strawberry.field(description="The films, in the order asked for.")
    page_info: relay.PageInfo = strawberry.field(description="Where the page ends and whether more follow.")
    total_count: int = strawberry.field(description="How many films there are on all pages.")


@strawberry.type(description="A film that a search found.")
class SearchEdge:
    cursor: str = strawberry.field(description="Give it as `after` to continue behind this film.")
    score: float = strawberry.field(description="What orders the films; comparable only within one search.")
    node: Movie = strawberry.field(description="The film.")


@strawberry.type(description="A page of what a search found.")
class SearchConnection:
    edges: list[SearchEdge] = strawberry.field(description="The films, best first.")
    page_info: relay.PageInfo = strawberry.field(description="Where the page ends and whether more follow.")


@strawberry.type
class CatalogQuery:
    @strawberry.field(directives=[Cost(weight=2)], description="A film by its id; null where there is none.")
    async def movie(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The film.")],  # noqa: A002
    ) -> Movie | None:
        movie = await movie_of(info.context, local_id(id, "Movie", "movie.id"))
        return movie and await up_to_date(info.context, movie)

    @strawberry.field(
        directives=[Cost(weight=20)], description="Films in an order, by default the most rated first."
    )
    def movies(
        self,
        info: Info,
        first: Annotated[int | None, strawberry.argument(description="How many films, 1 to 100.")] = None,
        after: Annotated[
            str | None, strawberry.argument(description="The cursor to continue behind.")
        ] = None,
        last: Annotated[
            int | None, strawberry.argument(description="How many from the end, 1 to 100.")
        ] = None,
        before: Annotated[str | None, strawberry.argument(description="The cursor to end before.")] = None,
        filter: Filter = None,  # noqa: A002 - the contract's name
        order_by: Annotated[
            MovieOrderInput | None, strawberry.argument(description="The order; its cursors go with it.")
        ] = None,
    ) -> MovieConnection:
        asked = window(MOVIES, first, after, last, before)
        snapshot = info.context.snapshot
        order = order_by.order() if order_by else Order()
        page = catalog.page(
            snapshot,
            wanted(filter, snapshot),
            order,
            asked.count,
            key_of(order, asked.key),
            backward=asked.backward,
        )
        mark = (order.field.value, order.descending)
        edges = [
            MovieEdge(cursor=encode_cursor(MOVIES, (*mark, *key)), node=Movie.at(snapshot, position))
            for position, key in zip(page.positions.tolist(), page.keys, strict=True)
        ]
        return MovieConnection(
            edges=edges,
            page_info=page_info(edges, has_previous=page.has_previous, has_next=page.has_next),
            total_count=page.total,
        )

    @strawberry.field(
        directives=[Cost(weight=50)],
        description="Films by words of their titles and overviews, by people, and by what the words mean, as "
        "`samurai defend a village`. Titles are found while they are being typed and when they are misspelt; "
        '`"dark knight" -rises` means what it means elsewhere, and finds these words only.',
    )
    async def search(
        self,
        info: Info,
        query: Annotated[str, strawberry.argument(description="What is looked for, up to 200 characters.")],
        first: Annotated[int, strawberry.argument(description="How many films, 1 to 100.")],
        after: Annotated[
            str | None, strawberry.argument(description="The cursor to continue behind.")
        ] = None,
        filter: Filter = None,  # noqa: A002 - the contract's name
    ) -> SearchConnection:
        asked = window(SEARCH, first, after)
        if len(query) > MAX_QUERY:
            raise CallerError(f"search.query takes at most {MAX_QUERY} characters, not {len(query)}.")
        snapshot = info.context.snapshot
        hits = await searching.search(
            info.context.sessions,
            snapshot,
            info.context.model,
            "".join(char if char.isprintable() else " " for char in query),
            wanted(filter, snapshot),
            count=asked.count,
            key=score_of(asked.key),
        )
        edges = [
            SearchEdge(
                cursor=encode_cursor(SEARCH, (score, int(snapshot.movie_ids[position]))),
                score=score,
                node=Movie.at(snapshot, position),
            )
            for position, score in zip(hits.positions.tolist(), hits.scores.tolist(), strict=True)
        ]
        return SearchConnection(
            edges=edges,
            page_info=page_info(edges, has_previous=hits.has_previous, has_next=hits.has_next),
        )

    @strawberry.field(directives=[ListSize(assumed_size=25)], description="All genres, by name.")
    def genres(self, info: Info) -> list[Genre]:
        return [Genre.of(row) for row in info.context.snapshot.genres]

    @strawberry.field(
        directives=[Cost(weight=5)],
        description="Any object by its id; null where there is none that the viewer may see.",
    )
    async def node(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="Its id.")],  # noqa: A002
    ) -> relay.Node | None:
        return (await nodes_of(info, "node.id", [id]))[0]

    @strawberry.field(
        directives=[ListSize(slicing_arguments=["ids"])],
        description="Objects by their ids, in the order of these.",
    )
    async def nodes(
        self,
        info: Info,
        ids: Annotated[list[strawberry.ID], strawberry.argument(description="Their ids, at most 100.")],
    ) -> list[relay.Node | None]:
        if len(ids) > MAX_PAGE:
            raise CallerError(f"nodes.ids takes at most {MAX_PAGE} ids, not {len(ids)}.")
        return await nodes_of(info, "nodes.ids", ids)


async def up_to_date(context: Context, movie: Movie) -> Movie:
    """The film with its ratings as they are now, so that whoever has just rated it sees that."""
    async with context.sessions() as session:
        stats = await ratings.stats_of(session, movie.id)
    return replace(movie, rating_count=stats.rating_count, half_stars_sum=stats.half_stars_sum)


async def nodes_of(info: Info, argument: str, ids: list[strawberry.ID]) -> list[relay.Node | None]:
    """Objects of any types; those of one type are asked for together."""
    keys: dict[type[relay.Node], list[str]] = {}
    named = [
        (node_type(info, argument, type_name), key)
        for type_name, key in (split_id(id_, argument) for id_ in ids)
    ]
    for type_, key in named:
        keys.setdefault(type_, []).append(key)
    found: dict[tuple[type[relay.Node], str], Any] = {}
    for type_, theirs in keys.items():
        asked = type_.resolve_nodes(info=info, node_ids=theirs)
        nodes = await asked if isawaitable(asked) else asked
        found |= {(type_, key): node for key, node in zip(theirs, nodes, strict=True)}
    return [found[name] for name in named]


def node_type(info: Info, argument: str, name: str) -> type[relay.Node]:
    """Raises CallerError for a name that no node has."""
    definition = info.schema.get_type_by_name(name)
    if (
        not isinstance(definition, StrawberryObjectDefinition)
        or definition.is_interface
        or not issubclass(definition.origin, relay.Node)
    ):
        raise CallerError(f"{argument} is not an id that this API gave out.")
    return definition.origin


def page_info(
    edges: list[MovieEdge] | list[SearchEdge], *, has_previous: bool, has_next: bool
) -> relay.PageInfo:
    return relay.PageInfo(
        has_previous_page=has_previous,
        has_next_page=has_next,
        start_cursor=edges[0].cursor if edges else None,
        end_cursor=edges[-1].cursor if edges else None,
    )


def key_of(order: Order, parts: tuple[Any, ...] | None) -> Key | None:
    """Where a cursor of `movies` stands. Raises CallerError for one that was made in another order."""
    match parts:
        case None:
            return None
        case (order.field.value, order.descending, value, int(movie_id)) if 0 <= movie_id <= MAX_ID:
            kind = str if order.field is OrderField.TITLE else float | int
            if value is None or (isinstance(value, kind) and not isinstance(value, bool)):
                return value, movie_id
    raise CallerError(f"{MOVIES}: the cursor is not one of this field's, or of another order.")


def score_of(parts: tuple[Any, ...] | None) -> tuple[float, int] | None:
    match parts:
        case None:
            return None
        case (float(score), int(movie_id)) if 0 <= movie_id <= MAX_ID:
            return score, movie_id
    raise CallerError(f"{SEARCH}: the cursor is not one of this field's.")
