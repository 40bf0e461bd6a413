"""Trained models, and which of them makes the lists."""

import enum
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Self

import strawberry
from strawberry import relay

from app.accounts.api_keys import Scope
from app.accounts.viewer import Role
from app.training import registry
from app.training.registry import Figure, Trained
from schema.core.constraints import Constraint
from schema.core.cursors import Cursors
from schema.core.directives import Cost, ListSize
from schema.core.errors import Error
from schema.core.outcomes import outcomes
from schema.core.pagination import After, Before, FirstOrNone, Last, info_of, moment, place_of, window
from schema.execution.context import Info
from schema.execution.permissions import may, requires

MODELS = "models"


@strawberry.enum(description="Where a model is on its way.")
class ModelStatus(enum.Enum):
    READY = strawberry.enum_value("READY", description="Trained, and not active yet.")
    ACTIVE = strawberry.enum_value("ACTIVE", description="The one that makes the lists.")
    RETIRED = strawberry.enum_value(
        "RETIRED", description="Active once; it can be activated again, as it is kept."
    )
    REMOVED = strawberry.enum_value("REMOVED", description="Its files have made room for newer ones.")


@strawberry.type(description="What training measured on ratings that the model had not seen.")
class Metric:
    name: str = strawberry.field(description="What was measured, such as `ndcg` or `rmse`.")
    k: int | None = strawberry.field(description="For lists of how many movies; null for what is of no list.")
    value: float = strawberry.field(description="The figure.")
    low: float | None = strawberry.field(
        description="Where its 95 % interval begins; null where it was not measured over members."
    )
    high: float | None = strawberry.field(description="Where its 95 % interval ends.")

    @classmethod
    def of(cls, figure: Figure) -> Self:
        return cls(name=figure.name, k=figure.k, value=figure.value, low=figure.low, high=figure.high)


@strawberry.type(description="A trained model.")
class Model(relay.Node):
    id: relay.NodeID[str]
    version: str = strawberry.field(description="Its name, which lists tell as `modelVersion`.")
    status: ModelStatus = strawberry.field(description="Where it is on its way.")
    trained_at: datetime = strawberry.field(description="When the ratings that it learnt were read.")
    dataset_version: str = strawberry.field(
        description="The data sets that it learnt, and behind `@` how many ratings."
    )
    metrics: list[Metric] = strawberry.field(
        directives=[ListSize(assumed_size=40)],
        description="What training measured; what lists reach on the newest ratings, held out, comes first.",
    )

    @classmethod
    def of(cls, trained: Trained) -> Self:
        return cls(
            id=trained.version,
            version=trained.version,
            status=ModelStatus[trained.status],
            trained_at=trained.trained_at,
            dataset_version=trained.dataset_version,
            metrics=[Metric.of(figure) for figure in trained.figures()],
        )

    @classmethod
    async def resolve_nodes(  # type: ignore[override]
        cls, *, info: Info, node_ids: Iterable[str], **_: object
    ) -> list[Self | None]:
        """Only for administrators, as `models` is."""
        versions = list(node_ids)
        if not await may(info.context, Role.ADMIN, Scope.READ):
            return [None for _ in versions]
        readable = [version for version in versions if version.isprintable()]
        found = await registry.by_version(info.context.sessions, readable)
        return [cls.of(found[version]) if version in found else None for version in versions]


@strawberry.type(description="A model in a list of them.")
class ModelEdge:
    cursor: str = strawberry.field(
        description="Pass as `after` or `before` to fetch the items after or before this one."
    )
    node: Model = strawberry.field(description="The model.")


@strawberry.type(description="A page of models.")
class ModelConnection:
    edges: list[ModelEdge] = strawberry.field(description="The models, the last trained first.")
    page_info: relay.PageInfo = strawberry.field(
        description="The page's cursors, and whether more pages exist."
    )

    @strawberry.field(directives=[Cost(weight=50)], description="The number of models on all pages.")
    async def total_count(self, info: Info) -> int:
        return await registry.count(info.context.sessions)


@strawberry.input(description="The model to activate.")
class ActivateModelInput:
    version: str = strawberry.field(directives=[Constraint(max_length=200)], description="Its version.")


@strawberry.type(description="The model is active; each process takes it up within a second.")
class ActivateModelPayload:
    model: Model = strawberry.field(description="The model.")


@strawberry.type(description="There is no model of this version.")
class ModelNotFound(Error):
    pass


@strawberry.type(description="The model's files have been removed, or cannot be read; nothing was changed.")
class ModelUnreadable(Error):
    pass


ActivateModelResult = Annotated[
    ActivateModelPayload | ModelNotFound | ModelUnreadable,
    strawberry.union("ActivateModelResult", description="Outcomes of `activateModel`."),
]


@strawberry.type
class ModelQuery:
    @strawberry.field(
        directives=[Cost(weight=160)],
        description="The model that makes the lists; null before the first training.",
        extensions=requires(Role.ADMIN, Scope.READ),
    )
    async def active_model(self, info: Info) -> Model | None:
        trained = await registry.active(info.context.sessions)
        return None if trained is None else Model.of(trained)

    @strawberry.field(
        directives=[Cost(weight=160)],
        description="All models that were trained.",
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
        shown = found[-asked.count :] if asked.backward else found[: asked.count]
        edges = [
            ModelEdge(
                cursor=asked.cursors.encode(moment(trained.trained_at), trained.version),
                node=Model.of(trained),
            )
            for trained in shown
        ]
        return ModelConnection(edges=edges, page_info=info_of(asked, edges, more=len(found) > asked.count))


@strawberry.type
class ModelMutation:
    @strawberry.mutation(
        directives=[Cost(weight=2600)],
        description="Make a trained model the one that makes the lists, as to go back to a former one.",
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


def version_of(key: object) -> str:
    """Raises ValueError for what is no version's name."""
    if isinstance(key, str) and key.isprintable():
        return key
    raise ValueError(key)
