"""Movies similar to another one, with the reasons."""

import asyncio
from typing import Self

import strawberry

from app.recommendations.reason_kinds import ReasonKind
from app.recommendations.shared_facts import shared_facts
from schema.core.cursors import Cursors, invalid_cursor
from schema.core.directives import ListSize
from schema.core.pagination import Connection, Edge, page_info, page_size
from schema.execution.context import Info
from schema.types.movie import Movie, RecommendationReason

SIMILAR = "similar"
MOST_SIMILAR = 300  # the longest list of similar movies


@strawberry.type(description="A movie similar to another one.")
class SimilarMovieEdge(Edge[Movie]):
    similarity: float = strawberry.field(
        description="Cosine similarity of the two movies' content, at most 1."
    )
    reasons: list[RecommendationReason] = strawberry.field(
        directives=[ListSize(assumed_size=2)],
        description="What the two movies share, most telling first; empty if only their words are similar.",
    )


@strawberry.type(description="A page of movies similar to another one, most similar first.")
class SimilarMovieConnection(Connection[SimilarMovieEdge]):
    @classmethod
    async def of(cls, info: Info, movie_id: int, first: int, after: str | None) -> Self:
        cursors = Cursors.of(info, SIMILAR, movie_id)
        count, start = page_size("first", first), rank_of(cursors, after)
        end = min(start + count, MOST_SIMILAR)
        near = await asyncio.shield(info.context.loaders.similar.load((movie_id, end + 1)))
        snapshot = info.context.snapshot
        this = snapshot.position(movie_id)
        edges = [
            SimilarMovieEdge(
                cursor=cursors.encode(rank),
                similarity=round(neighbor.similarity, 4),
                reasons=[] if this is None else reasons_of(shared_facts(snapshot, this, position)),
                node=Movie.at(snapshot, position),
            )
            for rank, neighbor in enumerate(near[start:end], start + 1)
            if (position := snapshot.position(neighbor.movie_id)) is not None
        ]
        has_next = len(near) > end and end < MOST_SIMILAR
        return cls(edges=edges, page_info=page_info(edges, has_previous=start > 0, has_next=has_next))


def reasons_of(shared: list[tuple[ReasonKind, str]]) -> list[RecommendationReason]:
    return [
        RecommendationReason(kind=kind.value, reason_kind=kind, text=text, movie=None)
        for kind, text in shared
    ]


def rank_of(cursors: Cursors, after: str | None) -> int:
    """The number of movies before the page. Raises BadArgument for a cursor of another list."""
    match after and cursors.decode(after):
        case None | "":
            return 0
        case (int(rank),) if 0 < rank <= MOST_SIMILAR:
            return rank
    raise invalid_cursor()
