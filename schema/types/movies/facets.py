"""Facets of movies: how many there are of each genre, decade and language."""

import asyncio

import numpy as np
import strawberry
from numpy.typing import NDArray

from app.catalog import facets
from app.serving.snapshot import MovieFilter, Snapshot
from schema.core.directives import ListSize
from schema.types.person import Genre


@strawberry.type(description="The number of movies of a genre.")
class GenreFacet:
    genre: Genre = strawberry.field(description="The genre.")
    count: int = strawberry.field(description="The number of movies.")


@strawberry.type(description="The number of movies of a decade.")
class DecadeFacet:
    decade: int = strawberry.field(description="The first year of the decade, such as 1990.")
    count: int = strawberry.field(description="The number of movies.")


@strawberry.type(description="The number of movies of an original language.")
class LanguageFacet:
    language: str = strawberry.field(description="ISO 639-1 code, such as `en`.")
    count: int = strawberry.field(description="The number of movies.")


@strawberry.type(description="The numbers of movies by their facts. Values without movies are left out.")
class Facets:
    genres: list[GenreFacet] = strawberry.field(
        directives=[ListSize(assumed_size=25)], description="By genre, most movies first."
    )
    decades: list[DecadeFacet] = strawberry.field(
        directives=[ListSize(assumed_size=15)], description="By decade of the first release, ascending."
    )
    languages: list[LanguageFacet] = strawberry.field(
        directives=[ListSize(assumed_size=40)], description="By original language, most movies first."
    )


async def facets_of(snapshot: Snapshot, selection: MovieFilter | NDArray[np.int32]) -> Facets:
    """Count the movies that pass a filter, or those at these positions."""
    counts = await asyncio.to_thread(facets.facets, snapshot, selection)
    return Facets(
        genres=[GenreFacet(genre=Genre.of(row), count=count) for row, count in counts.genres],
        decades=[DecadeFacet(decade=decade, count=count) for decade, count in counts.decades],
        languages=[LanguageFacet(language=code, count=count) for code, count in counts.languages],
    )
