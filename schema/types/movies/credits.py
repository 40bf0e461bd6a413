"""People's movies, and the search for people."""

import asyncio
from typing import Annotated, Self

import strawberry

from app.catalog import browse, people
from app.catalog.browse import MovieSort, OrderField
from app.serving.snapshot import MovieFilter
from schema.core.constraints import Constraint
from schema.core.cursors import Cursors
from schema.core.directives import PUBLIC, Cost
from schema.core.pagination import After, Connection, Edge, First, Window, page_info, page_size, window
from schema.execution.context import Info
from schema.types.movie import Movie
from schema.types.movie_filter import MovieOrderInput
from schema.types.movies.pages import key_of
from schema.types.person import Person

PERSON_MOVIES, PEOPLE = "personMovies", "searchPeople"
MAX_QUERY = 200  # characters


@strawberry.type(description="A movie of a director or cast member.")
class PersonMovieEdge(Edge[Movie]):
    directed: bool = strawberry.field(description="Whether the person directed the movie.")
    character: str | None = strawberry.field(
        description="The person's character; null if unknown or not in the cast."
    )


@strawberry.type(description="A page of a person's movies, by default newest first.")
class PersonMovieConnection(Connection[PersonMovieEdge]):
    total_count: int = strawberry.field(description="The number of movies on all pages.")

    @classmethod
    async def of(
        cls, info: Info, person_id: int, first: int, after: str | None, order_by: MovieOrderInput | None
    ) -> Self:
        asked = window(Cursors.of(info, PERSON_MOVIES, person_id), first, after)
        snapshot = info.context.snapshot
        order = order_by.order() if order_by else MovieSort(OrderField.RELEASE_DATE)
        page = await asyncio.to_thread(
            browse.page,
            snapshot,
            MovieFilter(),
            order,
            asked.count,
            key_of(order, asked),
            among=people.movies_of(snapshot, person_id),
        )
        edges = []
        for position, key in zip(page.positions.tolist(), page.keys, strict=True):
            card = snapshot.cards[position]
            edges.append(
                PersonMovieEdge(
                    cursor=asked.cursors.encode(*key),
                    node=Movie.at(snapshot, position),
                    directed=any(person.id == person_id for person in card.directors),
                    character=next((name for person, name in card.cast if person.id == person_id), None),
                )
            )
        info_ = page_info(edges, has_previous=page.has_previous, has_next=page.has_next)
        return cls(edges=edges, page_info=info_, total_count=page.total)


@strawberry.type(description="A page of people found by name.")
class PersonConnection(Connection[Edge[Person]]):
    total_count: int = strawberry.field(description="The number of people on all pages.")


@strawberry.type
class PersonQuery:
    @strawberry.field(
        directives=[PUBLIC, Cost(weight=60)],
        description="Directors and cast members whose names have all words of the query; the last word may "
        "be incomplete, and words may have typing errors. Those with the most rated movies come first.",
    )
    async def search_people(
        self,
        info: Info,
        query: Annotated[
            str,
            strawberry.argument(
                description="Words of the name.",
                directives=[Constraint(max_length=MAX_QUERY), Cost(weight=2, per=10)],
            ),
        ],
        first: First,
        after: After = None,
    ) -> PersonConnection:
        asked = Window(Cursors.of(info, PEOPLE), page_size("first", first), None)
        start = rank_of(asked, after)
        snapshot = info.context.snapshot
        found = await asyncio.to_thread(people.named, snapshot, query)
        edges = [
            Edge(cursor=asked.cursors.encode(rank), node=Person.of(snapshot.people.rows[person_id]))
            for rank, person_id in enumerate(found[start : start + asked.count].tolist(), start + 1)
        ]
        more = found.size > start + asked.count
        return PersonConnection(
            edges=edges,
            page_info=page_info(edges, has_previous=start > 0, has_next=more),
            total_count=found.size,
        )


def rank_of(asked: Window, after: str | None) -> int:
    """The number of people before the page. Raises BadArgument for a cursor of another list."""
    match after and asked.cursors.decode(after):
        case None | "":
            return 0
        case (int(rank),) if rank > 0:
            return rank
    raise asked.invalid_cursor()
