"""Onboarding: the most informative movies to ask a new member about."""

import asyncio
from typing import Annotated

import strawberry

from app.recommendations import onboarding
from app.recommendations.history import NO_HISTORY
from app.serving.cards import GenreRow
from app.serving.model import Model
from schema.core.constraints import MAX_ID_LENGTH, Constraint
from schema.core.cursors import Cursors, invalid_cursor
from schema.core.directives import Cost
from schema.core.errors import BadArgument
from schema.core.global_ids import local_id
from schema.core.pagination import After, Connection, Edge, First, page_info, page_size
from schema.execution.context import Context, Info
from schema.execution.list_cursor import require_model
from schema.types.movie import Movie, movies_of

FIELD = "onboarding"
GENRE_IDS = Constraint(max_items=50, max_length=MAX_ID_LENGTH)


@strawberry.type(description="A page of movies to ask a new member about, most informative first.")
class OnboardingConnection(Connection[Edge[Movie]]):
    pass


@strawberry.type
class OnboardingQuery:
    @strawberry.field(
        directives=[Cost(weight=65, viewer=270)],
        description="The most informative movies to rate: well known, with divided opinions, spread over the "
        "genres. At most 500, without those the viewer rated. Ask for five favorite genres, then for five "
        "ratings.",
    )
    async def onboarding(
        self,
        info: Info,
        first: First,
        after: After = None,
        genres: Annotated[
            list[strawberry.ID] | None,
            strawberry.argument(
                description="Return only movies of any of these genres; by default of all genres.",
                directives=[GENRE_IDS],
            ),
        ] = None,
    ) -> OnboardingConnection:
        context = info.context
        size = page_size("first", first)
        chosen = known_genres(context, genres)
        cursors = Cursors.of(info, FIELD)
        model, rank = begun(context, cursors, after)
        signed_in = await context.viewer() is not None
        hidden = (await context.history()).hidden if signed_in else NO_HISTORY.hidden
        asked = await asyncio.to_thread(
            onboarding.movies, context.snapshot, model, chosen, hidden, first=size, after_rank=rank
        )
        movies = movies_of(context.snapshot, asked.movie_ids)
        edges = [
            Edge(cursor=cursors.encode(model.version, place), node=movies[movie_id])
            for movie_id, place in zip(asked.movie_ids, asked.ranks, strict=True)
            if movie_id in movies
        ]
        return OnboardingConnection(
            edges=edges,
            page_info=page_info(edges, has_previous=rank > 0, has_next=asked.has_next),
        )


def known_genres(context: Context, ids: list[strawberry.ID] | None) -> list[GenreRow]:
    """The distinct genres, by name. Raises BadArgument for an unknown id."""
    wanted = [local_id(id_, "Genre", f"genres[{place}]") for place, id_ in enumerate(ids or ())]
    for place, genre_id in enumerate(wanted):
        if context.snapshot.genre(genre_id) is None:
            raise BadArgument(f"genres[{place}]", "is not the id of a genre.")
    return [row for row in context.snapshot.genres if row.id in wanted]


def begun(context: Context, cursors: Cursors, after: str | None) -> tuple[Model, int]:
    """The model that made the list, if still loaded, else the active one; and the rank before the page."""
    if after is None:
        return require_model(context), 0
    match cursors.decode(after):
        case (str(version), int(rank)) if 0 < rank <= onboarding.LONGEST:
            return context.served.model_of(version) or require_model(context), rank
    raise invalid_cursor()
