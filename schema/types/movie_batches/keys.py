"""Names of movies: by an id of this service, of another system, or of a site; and the query `movieBy`."""

from collections.abc import Sequence
from typing import Annotated

import strawberry
from strawberry import UNSET

from app.catalog import lookup
from app.catalog.lookup import Key
from schema.core.constraints import GLOBAL_ID, Constraint
from schema.core.directives import PUBLIC, Cost
from schema.core.global_ids import local_id
from schema.execution.context import Info
from schema.types.catalog import up_to_date
from schema.types.movie import Movie, movie_of
from schema.types.movie_facts import SOURCE

MAX_EXTERNAL_ID = Constraint(max_length=1_000)
SITE_ID = Constraint(max_length=50)


@strawberry.input(description="The id of a movie in another system.")
class ExternalIdInput:
    source: str = strawberry.field(directives=[SOURCE], description="The system, such as `own`.")
    value: str = strawberry.field(directives=[MAX_EXTERNAL_ID], description="The movie's id there.")


@strawberry.input(one_of=True, description="A movie, by exactly one of its ids.")
class MovieKeyInput:
    movie_id: strawberry.ID | None = strawberry.field(
        default=UNSET, directives=[GLOBAL_ID], description="The id in this API."
    )
    external_id: ExternalIdInput | None = strawberry.field(
        default=UNSET, description="The id in another system."
    )
    imdb_id: strawberry.ID | None = strawberry.field(
        default=UNSET, directives=[SITE_ID], description="The IMDb id, such as `tt0133093`."
    )
    tmdb_id: strawberry.ID | None = strawberry.field(
        default=UNSET, directives=[SITE_ID], description="The TMDB id."
    )
    movielens_id: strawberry.ID | None = strawberry.field(
        default=UNSET, directives=[SITE_ID], description="The MovieLens id."
    )


def key_of(given: MovieKeyInput, argument: str) -> Key:
    """The key of a movie; `argument` is its path. Raises BadArgument."""
    if isinstance(given.movie_id, str):
        return Key("id", local_id(given.movie_id, "Movie", f"{argument}.movieId"))
    if isinstance(given.external_id, ExternalIdInput):
        return Key("external_id", given.external_id.value, given.external_id.source)
    sites = {"imdb_id": given.imdb_id, "tmdb_id": given.tmdb_id, "movielens_id": given.movielens_id}
    return next(Key(kind, str(id_)) for kind, id_ in sites.items() if isinstance(id_, str))


async def movie_ids(info: Info, keys: Sequence[Key]) -> list[int | None]:
    """The ids of movies by their keys; None for an unknown one."""
    return await lookup.movie_ids(info.context.sessions, keys)


@strawberry.type
class MovieLookup:
    @strawberry.field(
        directives=[PUBLIC, Cost(weight=120)],
        description="The movie with this id of this service, of another system, or of a site; null if there "
        "is none.",
    )
    async def movie_by(
        self,
        info: Info,
        key: Annotated[MovieKeyInput, strawberry.argument(description="One id of the movie.")],
    ) -> Movie | None:
        (movie_id,) = await movie_ids(info, [key_of(key, "key")])
        movie = None if movie_id is None else await movie_of(info.context, movie_id)
        return movie and await up_to_date(info.context, movie)
