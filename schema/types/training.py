"""Trainings: asked for here, done in the background, told of while they run."""

import enum
from collections.abc import Iterable
from typing import Annotated, Self

import strawberry
from strawberry import relay

from app.accounts.api_keys import Scope
from app.accounts.viewer import Role, Viewer
from app.training import jobs, registry
from app.training.jobs import Job
from schema.core.constraints import DECOMPOSED, Constraint
from schema.core.directives import Cost
from schema.core.errors import Error
from schema.core.global_ids import whole_number
from schema.execution.context import Info
from schema.execution.permissions import may, requires
from schema.types.model import Model

LONGEST_NOTE = 200


@strawberry.enum(description="Where a training is on its way.")
class TrainingStatus(enum.Enum):
    QUEUED = strawberry.enum_value("QUEUED", description="It waits for a process that trains.")
    RUNNING = strawberry.enum_value("RUNNING", description="It is under way.")
    SUCCEEDED = strawberry.enum_value("SUCCEEDED", description="Its model is there and was activated.")
    FAILED = strawberry.enum_value("FAILED", description="It came to nothing; the active model stays.")


@strawberry.type(description="A training that was asked for. It outlives the process that does it.")
class TrainingJob(relay.Node):
    id: relay.NodeID[int]
    status: TrainingStatus = strawberry.field(description="Where it is on its way.")
    stage: str = strawberry.field(description="What is being done, such as `factors`.")
    fraction: float = strawberry.field(description="How much of the stage is done, 0 to 1.")
    message: str | None = strawberry.field(description="Why it failed, or is tried again.")
    model_version: strawberry.Private[str | None]

    @classmethod
    def of(cls, job: Job) -> Self:
        return cls(
            id=job.id,
            status=TrainingStatus[job.status],
            stage=job.stage,
            fraction=job.fraction,
            message=job.message,
            model_version=job.model_version,
        )

    @classmethod
    async def resolve_nodes(  # type: ignore[override]
        cls, *, info: Info, node_ids: Iterable[str], **_: object
    ) -> list[Self | None]:
        """Only for administrators."""
        ids = [whole_number(node_id) for node_id in node_ids]
        if not await may(info.context, Role.ADMIN, Scope.READ):
            return [None for _ in ids]
        found = await jobs.by_id(info.context.sessions, ids)
        return [cls.of(found[id_]) if id_ in found else None for id_ in ids]

    @strawberry.field(directives=[Cost(weight=110)], description="What came of it; null until it succeeded.")
    async def model(self, info: Info) -> Model | None:
        return await model_of(info, self.model_version)


@strawberry.type(description="How far a training is.")
class TrainingProgress:
    status: TrainingStatus = strawberry.field(description="Where it is on its way.")
    stage: str = strawberry.field(description="What is being done, such as `factors`.")
    fraction: float = strawberry.field(description="How much of the stage is done, 0 to 1.")
    message: str | None = strawberry.field(description="Why it failed, or is tried again.")
    model_version: strawberry.Private[str | None]

    @classmethod
    def of(cls, job: Job) -> Self:
        return cls(
            status=TrainingStatus[job.status],
            stage=job.stage,
            fraction=job.fraction,
            message=job.message,
            model_version=job.model_version,
        )

    @strawberry.field(directives=[Cost(weight=60)], description="What came of it; null until it succeeded.")
    async def model(self, info: Info) -> Model | None:
        return await model_of(info, self.model_version)


async def model_of(info: Info, version: str | None) -> Model | None:
    if version is None:
        return None
    found = await registry.by_version(info.context.sessions, [version])
    return Model.of(found[version])


@strawberry.input(description="The training to do: there is nothing to choose yet.")
class TrainModelInput:
    note: str | None = strawberry.field(
        default=None,
        directives=[Constraint(max_length=DECOMPOSED * LONGEST_NOTE)],
        description="Why, for the audit log, in at most 200 characters.",
    )


@strawberry.type(description="The training is asked for, or was already.")
class TrainModelPayload:
    job: TrainingJob = strawberry.field(description="What to follow with `trainingProgress`.")


@strawberry.type(description="The note is too long.")
class InvalidTraining(Error):
    pass


TrainModelResult = Annotated[
    TrainModelPayload | InvalidTraining,
    strawberry.union("TrainModelResult", description="Outcomes of `trainModel`."),
]


@strawberry.type
class TrainingMutation:
    @strawberry.mutation(
        directives=[Cost(weight=800)],
        description="Have a model trained on all ratings and activated, in the background. A training that "
        "still waits is not asked for twice: it is the same job then.",
        extensions=requires(Role.ADMIN),
    )
    async def train_model(
        self,
        info: Info,
        input: Annotated[TrainModelInput, strawberry.argument(description="The training.")],  # noqa: A002
    ) -> TrainModelResult:
        if input.note is not None and len(input.note) > LONGEST_NOTE:
            return InvalidTraining(message=f"note must have at most {LONGEST_NOTE} characters.")
        actor = await info.context.actor()
        requested_by = actor.id if isinstance(actor, Viewer) else None
        return TrainModelPayload(job=TrainingJob.of(await jobs.request(info.context.sessions, requested_by)))
