"""The input of `startExperiment`: an experiment and its arms."""

from datetime import UTC, datetime

import strawberry

from app.accounts.viewer import Role
from app.experiments.assignment import Arm, Design, Target
from app.experiments.plans import MAX_ARMS, MAX_NAME_LENGTH, Plan
from schema.core.constraints import DECOMPOSED, Constraint
from schema.core.enums import enum_of

NAME = Constraint(max_length=DECOMPOSED * MAX_NAME_LENGTH)

enum_of(
    Design,
    "ExperimentDesign",
    "How members get their arms.",
    {
        Design.FIXED: "A member's arm never changes while the experiment runs.",
        Design.SWITCHBACK: "A member has each arm in turn, a period each, and is compared with themselves.",
    },
)


@strawberry.input(description="An arm. A parameter that is left out is as in lists outside experiments.")
class ExperimentArmInput:
    name: str = strawberry.field(directives=[NAME], description="The name of the arm.")
    share: float = strawberry.field(
        description="The share of the members of the layer, 0.001 to 1. The shares add up to at most 1."
    )
    model_version: str | None = strawberry.field(
        default=None,
        directives=[Constraint(max_length=200)],
        description="The version of the model that makes the lists.",
    )
    diversity: float | None = strawberry.field(
        default=None, description="The diversity of the lists, 0 to 1, as in `recommendations`."
    )
    exploration: float | None = strawberry.field(
        default=None,
        description="The probability, 0 to 1, that a place has a random movie of the first 100. The "
        "propensities are recorded.",
    )


@strawberry.input(description="The experiment to start.")
class StartExperimentInput:
    name: str = strawberry.field(
        directives=[NAME],
        description="A name that no experiment has had, of 1 to 64 letters, digits, '.', '_' and '-'.",
    )
    arms: list[ExperimentArmInput] = strawberry.field(
        directives=[Constraint(max_items=MAX_ARMS)], description="The arms; the first is the baseline."
    )
    layer: str = strawberry.field(
        default="default",
        directives=[NAME],
        description="Experiments of one layer have different members. Those of two layers may share members, "
        "and set different parameters.",
    )
    starts_at: datetime | None = strawberry.field(default=None, description="When it starts; default: now.")
    ends_at: datetime | None = strawberry.field(
        default=None, description="When it ends; default: 28 days after the start."
    )
    design: Design = strawberry.field(default=Design.FIXED, description="How members get their arms.")
    period_hours: int | None = strawberry.field(
        default=None, description="Hours for which a member of a SWITCHBACK keeps an arm, 1 to 168."
    )
    roles: list[Role] | None = strawberry.field(
        default=None,
        directives=[Constraint(max_items=len(Role))],
        description="Only members with these roles; default: all.",
    )
    min_ratings: int = strawberry.field(default=0, description="Only members with as many ratings.")
    joined_after: datetime | None = strawberry.field(
        default=None, description="Only members who signed up after this time."
    )

    def plan(self) -> Plan:
        arms = [
            Arm(arm.name, arm.share, arm.model_version, arm.diversity, arm.exploration) for arm in self.arms
        ]
        target = Target(frozenset(self.roles or ()), self.min_ratings, in_utc(self.joined_after))
        return Plan(
            name=self.name,
            arms=arms,
            layer=self.layer,
            starts_at=in_utc(self.starts_at),
            ends_at=in_utc(self.ends_at),
            design=self.design,
            period_hours=self.period_hours,
            target=target,
        )


def in_utc(time: datetime | None) -> datetime | None:
    """A time without a zone is in UTC."""
    return time.replace(tzinfo=UTC) if time is not None and time.tzinfo is None else time
