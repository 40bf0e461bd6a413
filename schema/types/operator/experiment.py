"""Experiments: start, stop, list, report."""

from datetime import UTC, datetime
from typing import Annotated, Self

import strawberry

from app.accounts.viewer import Role
from app.experiments import assignment, plans, registry
from app.experiments.assignment import Design, Status
from app.experiments.report import Report, report
from schema.core.cursors import Cursors
from schema.core.directives import Cost, ListSize
from schema.core.enums import enum_of
from schema.core.errors import Error
from schema.core.outcomes import outcomes
from schema.core.pagination import After, Connection, Edge, First, id_of, info_of, window
from schema.execution.context import Context, Info
from schema.execution.permissions import requires
from schema.types.operator.experiment_report import (
    ExperimentArm,
    ExperimentComparison,
    ExperimentLook,
    ExperimentSampleRatio,
)
from schema.types.operator.start_experiment import NAME, StartExperimentInput

EXPERIMENTS = "experiments"

enum_of(
    Status,
    "ExperimentStatus",
    "The status of an experiment.",
    {
        Status.SCHEDULED: "It has not begun.",
        Status.RUNNING: "Members have arms.",
        Status.ENDED: "Its time is over. Members have no arm; the report still changes until it is stopped.",
        Status.STOPPED: "An operator stopped it. The report is final.",
    },
)


@strawberry.type(description="An experiment: lists differ between arms, to which members are assigned.")
class Experiment:
    name: str = strawberry.field(description="The name of the experiment.")
    status: Status = strawberry.field(description="The status of the experiment.")
    layer: str = strawberry.field(
        description="Experiments of one layer have different members; those of two layers may share members."
    )
    design: Design = strawberry.field(description="How members get their arms.")
    period_hours: int | None = strawberry.field(description="Hours of a period of a switchback.")
    roles: list[Role] = strawberry.field(description="The roles of its members; empty for all.")
    min_ratings: int = strawberry.field(description="The fewest ratings of its members.")
    joined_after: datetime | None = strawberry.field(
        description="Only members who signed up after this time are in it."
    )
    started_at: datetime = strawberry.field(description="When it starts or started.")
    ends_at: datetime = strawberry.field(description="When it ends unless it is stopped.")
    stopped_at: datetime | None = strawberry.field(description="When an operator stopped it.")
    experiment: strawberry.Private[assignment.Experiment]
    made: strawberry.Private[list[Report]]  # once a field asked for it

    @classmethod
    def of(cls, experiment: assignment.Experiment) -> Self:
        period, target = experiment.period, experiment.target
        return cls(
            name=experiment.name,
            status=experiment.status(datetime.now(UTC)),
            layer=experiment.layer,
            design=experiment.design,
            period_hours=None if period is None else round(period.total_seconds() / 3600),
            roles=sorted(target.roles),
            min_ratings=target.min_ratings,
            joined_after=target.joined_after,
            started_at=experiment.starts_at,
            ends_at=experiment.ends_at,
            stopped_at=experiment.stopped_at,
            experiment=experiment,
            made=[],
        )

    async def _report(self, context: Context) -> Report:
        async with context.running.reporting:
            if not self.made:
                self.made.append(await report(context.sessions, self.experiment))
        return self.made[0]

    @strawberry.field(
        directives=[Cost(weight=300), ListSize(assumed_size=2)],
        description="The arms with their results. The first is the baseline.",
    )
    async def arms(self, info: Info) -> list[ExperimentArm]:
        results = (await self._report(info.context)).arms
        pairs = zip(self.experiment.arms, results, strict=True)
        return [ExperimentArm.of(arm, result) for arm, result in pairs]

    @strawberry.field(
        directives=[Cost(weight=300), ListSize(assumed_size=6)],
        description="Each other arm beside the baseline, by each metric.",
    )
    async def comparisons(self, info: Info) -> list[ExperimentComparison]:
        return [ExperimentComparison.of(each) for each in (await self._report(info.context)).comparisons]

    @strawberry.field(
        directives=[Cost(weight=300)],
        description="Whether the arms have their shares of the members; null without members, with one arm, "
        "and for a switchback.",
    )
    async def sample_ratio(self, info: Info) -> ExperimentSampleRatio | None:
        found = (await self._report(info.context)).sample_ratio
        return None if found is None else ExperimentSampleRatio.of(found)

    @strawberry.field(
        directives=[Cost(weight=300), ListSize(assumed_size=170)],
        description="The comparisons at up to 28 times from the start on.",
    )
    async def looks(self, info: Info) -> list[ExperimentLook]:
        return [
            ExperimentLook(at=look.at, comparison=ExperimentComparison.of(look.comparison))
            for look in (await self._report(info.context)).looks
        ]


@strawberry.type(description="A page of experiments, newest first.")
class ExperimentConnection(Connection[Edge[Experiment]]):
    pass


@strawberry.type(description="The experiment is started. Each process knows it within a second.")
class StartExperimentPayload:
    experiment: Experiment = strawberry.field(description="The experiment.")


@strawberry.type(description="The experiment breaks a rule. Nothing was started.")
class InvalidExperiment(Error):
    field: str = strawberry.field(description="The field of the input that breaks the rule.")


@strawberry.type(description="An experiment has this name, or has the members, or sets the same parameter.")
class ExperimentConflict(Error):
    pass


@strawberry.input(description="The experiment to stop.")
class StopExperimentInput:
    name: str = strawberry.field(directives=[NAME], description="The name of the experiment.")


@strawberry.type(description="The experiment is stopped, and its report is kept.")
class StopExperimentPayload:
    experiment: Experiment = strawberry.field(description="The experiment.")


@strawberry.type(description="No experiment has this name.")
class ExperimentNotFound(Error):
    pass


StartExperimentResult = Annotated[
    StartExperimentPayload | InvalidExperiment | ExperimentConflict,
    strawberry.union("StartExperimentResult", description="Outcomes of `startExperiment`."),
]
StopExperimentResult = Annotated[
    StopExperimentPayload | ExperimentNotFound,
    strawberry.union("StopExperimentResult", description="Outcomes of `stopExperiment`."),
]


@strawberry.type
class ExperimentQuery:
    @strawberry.field(
        directives=[Cost(weight=210)],
        description="An experiment by its name; null if there is none.",
        extensions=requires(Role.ADMIN),
    )
    async def experiment(
        self,
        info: Info,
        name: Annotated[
            str, strawberry.argument(description="The name of the experiment.", directives=[NAME])
        ],
    ) -> Experiment | None:
        found = await registry.by_name(info.context.sessions, name)
        return None if found is None else Experiment.of(found)

    @strawberry.field(
        directives=[Cost(weight=190)], description="All experiments.", extensions=requires(Role.ADMIN)
    )
    async def experiments(self, info: Info, first: First, after: After = None) -> ExperimentConnection:
        asked = window(Cursors.of(info, EXPERIMENTS), first, after)
        found = await registry.page(info.context.sessions, asked.count + 1, id_of(asked))
        edges = [
            Edge(cursor=asked.cursors.encode(each.id), node=Experiment.of(each))
            for each in found[: asked.count]
        ]
        return ExperimentConnection(
            edges=edges, page_info=info_of(asked, edges, more=len(found) > asked.count)
        )


@strawberry.type
class ExperimentMutation:
    @strawberry.mutation(
        directives=[Cost(weight=750)],
        description="Start an experiment: give each member an arm, by which their lists differ.",
        extensions=requires(Role.ADMIN),
    )
    @outcomes(
        {
            plans.InvalidExperiment: lambda error: InvalidExperiment(message=f"{error}", field=error.field),
            registry.NameTaken: ExperimentConflict,
            registry.NoRoom: ExperimentConflict,
        }
    )
    async def start_experiment(
        self,
        info: Info,
        input: Annotated[StartExperimentInput, strawberry.argument(description="The experiment.")],  # noqa: A002
    ) -> StartExperimentResult:
        context = info.context
        started = await registry.start(context.sessions, input.plan(), context.settings.served_list_days)
        return StartExperimentPayload(experiment=Experiment.of(started))

    @strawberry.mutation(
        directives=[Cost(weight=1050)],
        description="Stop an experiment and keep its report. One that is stopped stays as it is.",
        extensions=requires(Role.ADMIN),
    )
    @outcomes({registry.NotFound: ExperimentNotFound})
    async def stop_experiment(
        self,
        info: Info,
        input: Annotated[StopExperimentInput, strawberry.argument(description="The experiment.")],  # noqa: A002
    ) -> StopExperimentResult:
        context = info.context
        running = await registry.required(context.sessions, input.name)
        async with context.running.reporting:
            last = await report(context.sessions, running)
        stopped = await registry.stop(context.sessions, input.name, last.as_json())
        return StopExperimentPayload(experiment=Experiment.of(stopped))
