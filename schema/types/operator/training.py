"""Training jobs: request one, follow its progress."""

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


@strawberry.enum(description="The status of a training.")
class TrainingStatus(enum.Enum):
    QUEUED = strawberry.enum_value("QUEUED", description="The job waits for a worker.")
    RUNNING = strawberry.enum_value("RUNNING", description="The job is running.")
    SUCCEEDED = strawberry.enum_value("SUCCEEDED", description="The model was trained and activated.")
    FAILED = strawberry.enum_value("FAILED", description="The training failed. The active model stays.")


@strawberry.type(description="A training job. It survives the death of its worker.")
class TrainingJob(relay.Node):
    id: relay.NodeID[int]
    status: TrainingStatus = strawberry.field(description="The status of the training.")
    stage: str = strawberry.field(description="The current stage, such as `factors`.")
    fraction: float = strawberry.field(description="The completed fraction of the stage, 0 to 1.")
    message: str | None = strawberry.field(
        description="Why the training failed or is retried, or why its model is not active."
    )
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
        """Return jobs to administrators only; None for other callers."""
        ids = [whole_number(node_id) for node_id in node_ids]
        if not await may(info.context, Role.ADMIN, Scope.READ):
            return [None for _ in ids]
        found = await jobs.by_id(info.context.sessions, ids)
        return [cls.of(found[id_]) if id_ in found else None for id_ in ids]

    @strawberry.field(
        directives=[Cost(weight=110)], description="The trained model; null until the training succeeds."
    )
    async def model(self, info: Info) -> Model | None:
        return await model_of(info, self.model_version)


@strawberry.type(description="The progress of a training.")
class TrainingProgress:
    status: TrainingStatus = strawberry.field(description="The status of the training.")
    stage: str = strawberry.field(description="The current stage, such as `factors`.")
    fraction: float = strawberry.field(description="The completed fraction of the stage, 0 to 1.")
    message: str | None = strawberry.field(
        description="Why the training failed or is retried, or why its model is not active."
    )
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

    @strawberry.field(
        directives=[Cost(weight=60)], description="The trained model; null until the training succeeds."
    )
    async def model(self, info: Info) -> Model | None:
        return await model_of(info, self.model_version)


async def model_of(info: Info, version: str | None) -> Model | None:
    if version is None:
        return None
    found = await registry.by_version(info.context.sessions, [version])
    return Model.of(found[version])


@strawberry.input(description="Options of the training.")
class TrainModelInput:
    note: str | None = strawberry.field(
        default=None,
        directives=[Constraint(max_length=DECOMPOSED * LONGEST_NOTE)],
        description="The reason, for the audit log, at most 200 characters.",
    )


@strawberry.type(description="The training was queued, or one was already waiting.")
class TrainModelPayload:
    job: TrainingJob = strawberry.field(description="The job. Follow it with `trainingProgress`.")


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
        directives=[Cost(weight=500)],
        description="Train a model on all ratings, in the background, and activate it unless it is worse "
        "than the active one (`Model.gate`). If a job is already waiting, that job is returned.",
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
