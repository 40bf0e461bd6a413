"""Onboarding: the most informative movies to ask a new member about."""

import asyncio
from typing import Annotated

import strawberry

from app.recommendations import onboarding
from app.recommendations.history import NO_HISTORY
from app.serving.cards import GenreRow
from schema.core.constraints import MAX_ID_LENGTH, Constraint
from schema.core.cursors import Cursors
from schema.core.directives import Cost
from schema.core.errors import BadArgument
from schema.core.global_ids import local_id
from schema.core.pagination import After, Connection, Edge, First, page_info, page_size
from schema.execution.context import Context, Info
from schema.execution.list_cursor import ListPage
from schema.types.movie import Movie, movies_of

FIELD = "onboarding"
GENRE_IDS = Constraint(max_items=50, max_length=MAX_ID_LENGTH)


@strawberry.type(description="A page of movies to ask a new member about, most informative first.")
class OnboardingConnection(Connection[Edge[Movie]]):
    request_id: strawberry.ID = strawberry.field(
        description="Id of the list, the same on all its pages. Pass it to `recordFeedback`."
    )


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
        viewer = await context.viewer()
        page = ListPage.of(context, viewer, Cursors.of(info, FIELD), after)
        model = page.model(context)
        user = NO_HISTORY if viewer is None else await context.history()
        asked = await asyncio.to_thread(
            onboarding.movies, context.snapshot, model, chosen, user.hidden, first=size, after_rank=page.rank
        )
        user_id = None if viewer is None else viewer.id
        page.record(
            context,
            model,
            user_id,
            ((user_id, user),),
            asked.movies,
            first=size,
            genres=tuple(genre.id for genre in chosen),
        )
        movies = movies_of(context.snapshot, [movie_id for movie_id, _, _ in asked.movies])
        cursors = page.cursors_of(model, (rank for _, rank, _ in asked.movies))
        edges = [
            Edge(cursor=cursor, node=movies[movie_id])
            for (movie_id, _, _), cursor in zip(asked.movies, cursors, strict=True)
            if movie_id in movies
        ]
        return OnboardingConnection(
            request_id=strawberry.ID(str(page.request_id)),
            edges=edges,
            page_info=page_info(edges, has_previous=page.rank > 0, has_next=asked.has_next),
        )


def known_genres(context: Context, ids: list[strawberry.ID] | None) -> list[GenreRow]:
    """The distinct genres, by name. Raises BadArgument for an unknown id."""
    wanted = [local_id(id_, "Genre", f"genres[{place}]") for place, id_ in enumerate(ids or ())]
    for place, genre_id in enumerate(wanted):
        if context.snapshot.genre(genre_id) is None:
            raise BadArgument(f"genres[{place}]", "is not the id of a genre.")
    return [row for row in context.snapshot.genres if row.id in wanted]
