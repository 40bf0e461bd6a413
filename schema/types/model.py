"""Trained models: list them, measure them, activate one."""

import enum
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Self

import strawberry
from strawberry import relay
from strawberry.scalars import JSON

from app.accounts.api_keys import Scope
from app.accounts.viewer import Role
from app.training import registry
from app.training.registry import Trained
from schema.core.constraints import Constraint
from schema.core.cursors import Cursors
from schema.core.directives import Cost, ListSize
from schema.core.errors import Error
from schema.core.outcomes import outcomes
from schema.core.pagination import (
    After,
    Before,
    Connection,
    Edge,
    FirstOrNone,
    Last,
    moment,
    page_of,
    place_of,
    window,
)
from schema.execution.context import Info
from schema.execution.permissions import may, requires
from schema.types.model_training import GateVerdict, Metric, ShadowRun, TrainingData

MODELS = "models"


@strawberry.enum(description="The status of a model.")
class ModelStatus(enum.Enum):
    READY = strawberry.enum_value("READY", description="Trained but never active.")
    ACTIVE = strawberry.enum_value("ACTIVE", description="The model that makes the lists.")
    RETIRED = strawberry.enum_value("RETIRED", description="Formerly active. It can be activated again.")
    REMOVED = strawberry.enum_value(
        "REMOVED", description="Its files were deleted to make room for newer models."
    )


@strawberry.type(description="A trained model.")
class Model(relay.Node):
    id: relay.NodeID[str]
    version: str = strawberry.field(description="The model's version, the `modelVersion` of its lists.")
    status: ModelStatus = strawberry.field(description="The status of the model.")
    kind: str = strawberry.field(
        description="What makes its lists: `hybrid`, `user-knn`, `svd`, `nmf`, `item-knn`, `content`, "
        "`popularity` or `autoencoder`."
    )
    trained_at: datetime = strawberry.field(description="When the training ratings were read.")
    dataset_version: str = strawberry.field(
        description="The version of the training data: the loaded data sets and, after `@`, the number of "
        "ratings and the beginning of the checksum. The same data has the same version."
    )
    training_data: TrainingData | None = strawberry.field(
        description="The training data; null for a model of an earlier release."
    )
    code_version: str | None = strawberry.field(
        description="The version of the package that trained the model and, in a checkout, the commit, with "
        "a `+` for uncommitted changes; null for a model of an earlier release."
    )
    parameters: JSON | None = strawberry.field(
        description="The hyper-parameters of the training; null for a model of an earlier release."
    )
    seed: int | None = strawberry.field(
        description="The seed of random numbers; null for a model of an earlier release."
    )
    checksums: JSON | None = strawberry.field(
        description="The SHA-256 of each file by name; null for a model of an earlier release."
    )
    metrics: list[Metric] = strawberry.field(
        directives=[ListSize(assumed_size=40)],
        description="The metrics of the training; list metrics on the newest, held-out ratings first.",
    )

    gate: GateVerdict | None = strawberry.field(
        description="The comparison before activation; null for a model that was activated without it."
    )

    shadow: ShadowRun | None = strawberry.field(
        description="Its last run in shadow mode; null for a model that was never in it."
    )

    @classmethod
    def of(cls, trained: Trained) -> Self:
        training = trained.training or {}
        return cls(
            id=trained.version,
            version=trained.version,
            status=ModelStatus[trained.status],
            kind=trained.kind,
            trained_at=trained.trained_at,
            dataset_version=trained.dataset_version,
            training_data=None if trained.data is None else TrainingData.of(trained.data),
            code_version=training.get("code"),
            parameters=training.get("parameters"),
            seed=training.get("parameters", {}).get("seed"),
            checksums=training.get("checksums"),
            metrics=[Metric.of(figure) for figure in trained.figures()],
            gate=None if trained.gate is None else GateVerdict.of(trained.gate),
            shadow=None if trained.shadow is None else ShadowRun.of(trained.shadow),
        )

    @classmethod
    async def resolve_nodes(  # type: ignore[override]
        cls, *, info: Info, node_ids: Iterable[str], **_: object
    ) -> list[Self | None]:
        """Return models to those who may query `models`; None for other callers."""
        versions = list(node_ids)
        if not await may(info.context, Role.ADMIN, Scope.READ):
            return [None for _ in versions]
        readable = [version for version in versions if version.isprintable()]
        found = await registry.by_version(info.context.sessions, readable)
        return [cls.of(found[version]) if version in found else None for version in versions]


@strawberry.type(description="A page of models, most recently trained first.")
class ModelConnection(Connection[Edge[Model]]):
    @strawberry.field(directives=[Cost(weight=80)], description="The number of models on all pages.")
    async def total_count(self, info: Info) -> int:
        return await registry.count(info.context.sessions)


@strawberry.input(description="The model to activate.")
class ActivateModelInput:
    version: str = strawberry.field(
        directives=[Constraint(max_length=200)], description="The model's version."
    )


@strawberry.type(description="The model is active. Each process loads it within a second.")
class ActivateModelPayload:
    model: Model = strawberry.field(description="The model.")


@strawberry.type(description="No model has this version.")
class ModelNotFound(Error):
    pass


@strawberry.type(description="The model's files are missing or unreadable. Nothing was changed.")
class ModelUnreadable(Error):
    pass


ActivateModelResult = Annotated[
    ActivateModelPayload | ModelNotFound | ModelUnreadable,
    strawberry.union("ActivateModelResult", description="Outcomes of `activateModel`."),
]


@strawberry.input(description="Options of the rollback.")
class RollbackModelInput:
    active_version: str | None = strawberry.field(
        default=None,
        directives=[Constraint(max_length=200)],
        description="Only if this version is active, so that a repeated request does not undo the first.",
    )


@strawberry.type(description="The former model is active. Each process loads it within a second.")
class RollbackModelPayload:
    model: Model = strawberry.field(description="The model.")


@strawberry.type(
    description="There is no earlier model whose files are kept, or another version is active than asked."
)
class NothingToRollBack(Error):
    pass


RollbackModelResult = Annotated[
    RollbackModelPayload | NothingToRollBack | ModelUnreadable,
    strawberry.union("RollbackModelResult", description="Outcomes of `rollbackModel`."),
]


@strawberry.type
class ModelQuery:
    @strawberry.field(
        directives=[Cost(weight=190)],
        description="The active model; null before the first training.",
        extensions=requires(Role.ADMIN, Scope.READ),
    )
    async def active_model(self, info: Info) -> Model | None:
        trained = await registry.active(info.context.sessions)
        return None if trained is None else Model.of(trained)

    @strawberry.field(
        directives=[Cost(weight=190)],
        description="All trained models.",
        extensions=requires(Role.ADMIN, Scope.READ),
    )
    async def models(
        self,
        info: Info,
        first: FirstOrNone = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> ModelConnection:
        asked = window(Cursors.of(info, MODELS), first, after, last, before)
        found = await registry.newest(
            info.context.sessions, asked.count + 1, place_of(asked, version_of), backward=asked.backward
        )
        return page_of(
            ModelConnection,
            asked,
            found,
            lambda trained: Edge(
                cursor=asked.cursors.encode(moment(trained.trained_at), trained.version),
                node=Model.of(trained),
            ),
        )


@strawberry.type
class ModelMutation:
    @strawberry.mutation(
        directives=[Cost(weight=2600)],
        description="Activate a trained model, for example to roll back to an earlier one.",
        extensions=requires(Role.ADMIN),
    )
    @outcomes({registry.ModelNotFound: ModelNotFound, registry.ModelUnreadable: ModelUnreadable})
    async def activate_model(
        self,
        info: Info,
        input: Annotated[ActivateModelInput, strawberry.argument(description="The model.")],  # noqa: A002
    ) -> ActivateModelResult:
        context = info.context
        trained = await registry.activate(context.sessions, context.settings.models, input.version)
        return ActivateModelPayload(model=Model.of(trained))

    @strawberry.mutation(
        directives=[Cost(weight=1900)],
        description="Activate the model that was active before the active one.",
        extensions=requires(Role.ADMIN),
    )
    @outcomes({registry.NothingToRollBack: NothingToRollBack, registry.ModelUnreadable: ModelUnreadable})
    async def rollback_model(
        self,
        info: Info,
        input: Annotated[  # noqa: A002
            RollbackModelInput, strawberry.argument(description="The rollback.")
        ],
    ) -> RollbackModelResult:
        context = info.context
        trained = await registry.roll_back(context.sessions, context.settings.models, input.active_version)
        return RollbackModelPayload(model=Model.of(trained))


def version_of(key: object) -> str:
    """Check that a cursor's key is a version. Raises ValueError if it is not."""
    if isinstance(key, str) and key.isprintable():
        return key
    raise ValueError(key)
