"""Genres, people and cast members."""

from collections.abc import Iterable
from typing import Annotated, Any, Self

import strawberry
from strawberry import relay
from strawberry.types.lazy_type import LazyType

from app.serving.cards import GenreRow, PersonRow
from schema.core.directives import Cost
from schema.core.global_ids import whole_number
from schema.core.pagination import After, First
from schema.execution.context import Info
from schema.types.movie_filter import MovieOrderInput

MOVIES: LazyType[str, str] = LazyType(
    "PersonMovieConnection", "schema.types.movies.credits"
)  # which imports this module


@strawberry.type(description="A genre of movies.")
class Genre(relay.Node):
    id: relay.NodeID[int]
    name: str = strawberry.field(description="The name of the genre, as used in filters.")

    @classmethod
    def of(cls, row: GenreRow) -> Self:
        return cls(id=row.id, name=row.name)

    @strawberry.field(description="The number of movies in the genre.")
    def movie_count(self, info: Info) -> int:
        genre = info.context.snapshot.genre(self.id)
        return 0 if genre is None else genre.movie_count

    @classmethod
    def resolve_nodes(  # type: ignore[override]
        cls, *, info: Info, node_ids: Iterable[str], **_: object
    ) -> list[Self | None]:
        rows = (info.context.snapshot.genre(whole_number(key)) for key in node_ids)
        return [None if row is None else cls.of(row) for row in rows]


@strawberry.type(description="A director or cast member.")
class Person(relay.Node):
    id: relay.NodeID[int]
    name: str = strawberry.field(description="The name, as credited.")

    @classmethod
    def of(cls, row: PersonRow) -> Self:
        return cls(id=row.id, name=row.name)

    @strawberry.field(
        graphql_type=MOVIES,
        directives=[Cost(weight=10)],
        description="The movies that the person directed or played in, by default newest first.",
    )
    async def movies(
        self,
        info: Info,
        first: First,
        after: After = None,
        order_by: Annotated[
            MovieOrderInput | None,
            strawberry.argument(description="The sort order. A cursor is valid only in its own order."),
        ] = None,
    ) -> Any:
        return await MOVIES.resolve_type().of(info, self.id, first, after, order_by)

    @classmethod
    def resolve_nodes(  # type: ignore[override]
        cls, *, info: Info, node_ids: Iterable[str], **_: object
    ) -> list[Self | None]:
        known = info.context.snapshot.people.rows
        rows = (known.get(whole_number(key)) for key in node_ids)
        return [None if row is None else cls.of(row) for row in rows]


@strawberry.type(description="A member of a movie's cast.")
class CastMember:
    person: Person = strawberry.field(description="The actor.")
    character: str | None = strawberry.field(description="The character; null if unknown.")
