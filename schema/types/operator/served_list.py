"""The story of a served list for operators: what was shown, what made it, and the list made again."""

import asyncio
import enum
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

import psycopg
import strawberry
from strawberry import relay
from strawberry.scalars import JSON

from app.accounts.viewer import Role
from app.provenance import replay
from app.provenance.replay import RecordedList, Replayer
from app.training import registry
from schema.core.constraints import MAX_ID_LENGTH, Constraint
from schema.core.directives import Cost, ListSize
from schema.core.errors import BadArgument
from schema.execution.context import Context, Info
from schema.execution.permissions import requires
from schema.types.model import Model
from schema.types.movie import Movie, movies_of


@strawberry.enum(description="The outcome of making a list again.")
class ReplayOutcome(enum.Enum):
    REPRODUCED = strawberry.enum_value(
        "REPRODUCED", description="The same movies in the same order and at the same ranks."
    )
    DIFFERENT = strawberry.enum_value("DIFFERENT", description="Other movies, or another order.")
    UNAVAILABLE = strawberry.enum_value(
        "UNAVAILABLE", description="What the list was made from is gone; `reason` names it."
    )


@strawberry.type(description="A movie of a served list.")
class ServedMovie:
    rank: int = strawberry.field(description="The movie's position in the list, from 1.")
    score: float = strawberry.field(description="The ranking score.")
    movie_id: strawberry.ID = strawberry.field(description="The id of the movie.")
    movie: Movie | None = strawberry.field(description="The movie; null if it has been deleted.")

    @classmethod
    def all(
        cls, context: Context, ids: Sequence[int], ranks: Sequence[int], scores: Sequence[float]
    ) -> list[Self]:
        movies = movies_of(context.snapshot, ids)
        return [
            cls(
                rank=rank,
                score=score,
                movie_id=strawberry.ID(relay.to_base64("Movie", id_)),
                movie=movies.get(id_),
            )
            for id_, rank, score in zip(ids, ranks, scores, strict=True)
        ]


@strawberry.type(description="A page of a list as it was served, or of a shelf of a home page.")
class ServedPage:
    field: str = strawberry.field(description="The field that made the list, such as `recommendations`.")
    served_at: datetime = strawberry.field(description="When the page was served.")
    history_at: datetime = strawberry.field(
        description="When the list began; the history is the one until then."
    )
    arm: str | None = strawberry.field(description="The arm of an experiment; null without one.")
    model_version: str = strawberry.field(description="The model that made the page.")
    model_state: strawberry.ID = strawberry.field(
        description="The state of the model, after its online updates, in the process that made the page."
    )
    code_version: str | None = strawberry.field(
        description="The version of the package that made the page and, in a checkout, the commit."
    )
    parameters: JSON = strawberry.field(description="The parameters of the page; absent ones are defaults.")
    movies: list[ServedMovie] = strawberry.field(
        directives=[ListSize(assumed_size=24)], description="The movies shown, by rank."
    )

    @classmethod
    def of(cls, context: Context, page: RecordedList) -> Self:
        return cls(
            field=page.field,
            served_at=page.served_at,
            history_at=page.history_at,
            arm=page.arm,
            model_version=page.model_version,
            model_state=strawberry.ID(str(page.model_state)),
            code_version=page.code_version,
            parameters=JSON(page.parameters),
            movies=ServedMovie.all(context, page.movie_ids, page.ranks, page.scores),
        )


@strawberry.type(description="A page made again.")
class Replay:
    outcome: ReplayOutcome = strawberry.field(description="Whether the page is the same.")
    reason: str | None = strawberry.field(description="Why the page could not be made again.")
    movies: list[ServedMovie] = strawberry.field(
        directives=[ListSize(assumed_size=24)], description="The movies; none if it could not be made again."
    )

    @classmethod
    def of(cls, context: Context, made: replay.Replay) -> Self:
        outcome = ReplayOutcome.REPRODUCED if made.same else ReplayOutcome.DIFFERENT
        return cls(
            outcome=outcome if made.reason is None else ReplayOutcome.UNAVAILABLE,
            reason=made.reason,
            movies=ServedMovie.all(context, made.movie_ids, made.ranks, made.scores),
        )


@strawberry.type(description="A list as it was served, for operators.")
class ServedList:
    request_id: strawberry.ID = strawberry.field(description="The id of the list.")
    username: str | None = strawberry.field(
        description="The member for whom it was made; null for a visitor."
    )
    pages: list[ServedPage] = strawberry.field(
        directives=[ListSize(assumed_size=10)],
        description=f"The pages served, in order of time, at most {replay.MAX_PAGES}.",
    )
    recorded: strawberry.Private[list[RecordedList]]

    @strawberry.field(
        directives=[Cost(weight=150), ListSize(assumed_size=3)],
        description="The models that made the pages.",
    )
    async def models(self, info: Info) -> list[Model]:
        versions = dict.fromkeys(page.model_version for page in self.recorded)
        found = await registry.by_version(info.context.sessions, versions)
        return [Model.of(found[version]) for version in versions if version in found]

    @strawberry.field(
        directives=[Cost(weight=400), ListSize(assumed_size=10)],
        description="The pages made again from the stored model and history, in the order of `pages`.",
    )
    async def replays(self, info: Info) -> list[Replay]:
        context = info.context
        async with context.recorder.replaying:  # each may load a model
            made = await asyncio.to_thread(replayed, context, self.recorded)
        return [Replay.of(context, each) for each in made]


def recorded(context: Context, request_id: UUID) -> list[RecordedList]:
    with psycopg.connect(context.sessions.address) as connection:
        return replay.recorded(connection, request_id)


def replayed(context: Context, pages: Iterable[RecordedList]) -> list[replay.Replay]:
    """Make pages again. The models in memory need not be loaded."""
    served = context.served
    loaded = [model for model in (served.former, *served.earlier, served.model) if model is not None]
    replayer = Replayer(context.settings.models, {model.state.id: model for model in loaded})
    with psycopg.connect(context.sessions.address) as connection:
        return [replayer.replay(connection, page) for page in pages]


@strawberry.type
class ServedListQuery:
    @strawberry.field(
        directives=[Cost(weight=200)],
        description="A list as it was served, by its `requestId`; null if it is not recorded. Lists are "
        "written within seconds and kept for the days that the operator has set.",
        extensions=requires(Role.ADMIN),
    )
    async def served_list(
        self,
        info: Info,
        request_id: Annotated[
            strawberry.ID,
            strawberry.argument(
                description="The `requestId` of the list.", directives=[Constraint(max_length=MAX_ID_LENGTH)]
            ),
        ],
    ) -> ServedList | None:
        try:
            of = UUID(request_id)
        except ValueError:
            raise BadArgument("requestId", "is not a list's `requestId`.") from None
        context = info.context
        pages = await asyncio.to_thread(recorded, context, of)
        if not pages:
            return None
        return ServedList(
            request_id=strawberry.ID(str(of)),
            username=pages[0].username,
            pages=[ServedPage.of(context, page) for page in pages],
            recorded=pages,
        )
