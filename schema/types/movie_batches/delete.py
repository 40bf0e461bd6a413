"""`deleteMovies`: delete many movies at once."""

from typing import Annotated

import strawberry
from strawberry import relay

from app.accounts.viewer import Role
from app.catalog.batches import edit
from app.catalog.batches.rows import MAX_ROWS, InvalidBatch
from app.catalog.edit import ModelChanging
from schema.core.constraints import Constraint
from schema.core.directives import Cost
from schema.core.errors import Error
from schema.core.outcomes import outcomes
from schema.execution.context import Info
from schema.execution.permissions import requires
from schema.types.movie_batches.keys import MovieKeyInput, key_of, movie_ids
from schema.types.movie_batches.upsert import OUTCOMES, InvalidMovieBatch
from schema.types.movie_editing import MovieUnknown, busy, live_of

UNKNOWN = "There is no movie with this id."


@strawberry.input(description="The movies to delete.")
class DeleteMoviesInput:
    movies: list[MovieKeyInput] = strawberry.field(
        directives=[Constraint(max_items=MAX_ROWS), Cost(weight=8)],
        description="The movies, at most 1,000, each by one of its ids.",
    )


@strawberry.type(description="The outcome of a row of `deleteMovies`.")
class DeletedMovie:
    position: int = strawberry.field(description="The position of the row, from 0.")
    deleted_movie_id: strawberry.ID | None = strawberry.field(
        description="The id of the deleted movie; null if there was none."
    )
    deleted_rating_count: int = strawberry.field(description="The number of deleted ratings.")
    error: Error | None = strawberry.field(description="Why nothing was deleted: `MovieUnknown`.")


@strawberry.type(description="The movies that exist were deleted, with all their ratings and events.")
class DeleteMoviesPayload:
    deleted: int = strawberry.field(description="The number of deleted movies.")
    rows: list[DeletedMovie] = strawberry.field(
        directives=[OUTCOMES], description="The outcome of each row, in their order."
    )


DeleteMoviesResult = Annotated[
    DeleteMoviesPayload | InvalidMovieBatch,
    strawberry.union("DeleteMoviesResult", description="Outcomes of `deleteMovies`."),
]


@strawberry.type
class DeleteMoviesMutation:
    @strawberry.mutation(
        directives=[Cost(weight=1100)],
        description="Delete up to 1,000 movies with all their ratings and events. This cannot be undone.",
        extensions=requires(Role.CURATOR),
    )
    @outcomes({InvalidBatch: InvalidMovieBatch, ModelChanging: busy})
    async def delete_movies(
        self,
        info: Info,
        input: Annotated[DeleteMoviesInput, strawberry.argument(description="The movies.")],  # noqa: A002
    ) -> DeleteMoviesResult:
        context = info.context
        edit.check_size(len(input.movies))
        keys = [key_of(key, f"input.movies[{place}]") for place, key in enumerate(input.movies)]
        ids = await movie_ids(info, keys)
        known = [movie_id for movie_id in ids if movie_id is not None]
        gone = await edit.remove(context.sessions, live_of(context), known) if known else {}
        context.renew()
        rows = [deleted(place, movie_id, gone) for place, movie_id in enumerate(ids)]
        return DeleteMoviesPayload(deleted=len(gone), rows=rows)


def deleted(position: int, movie_id: int | None, gone: dict[int, int]) -> DeletedMovie:
    if movie_id is None or movie_id not in gone:
        return DeletedMovie(
            position=position,
            deleted_movie_id=None,
            deleted_rating_count=0,
            error=MovieUnknown(message=UNKNOWN),
        )
    id_ = strawberry.ID(relay.to_base64("Movie", movie_id))
    return DeletedMovie(
        position=position, deleted_movie_id=id_, deleted_rating_count=gone[movie_id], error=None
    )
