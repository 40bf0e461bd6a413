"""The report of an experiment: its arms, their differences from the baseline, the lift over time."""

from datetime import datetime
from typing import Self

import strawberry

from app.experiments import differences, report, sample_ratio
from app.experiments.differences import Test
from app.experiments.measures import Metric
from schema.core.directives import ListSize
from schema.core.enums import enum_of

enum_of(
    Test,
    "ExperimentTest",
    "How two arms are compared.",
    {
        Test.WELCH_T: "Welch's t-test of the members of two arms.",
        Test.PAIRED_T: "The paired t-test of members who had both arms, in a switchback.",
    },
)
enum_of(
    Metric,
    "ExperimentMetric",
    "A metric of a member. Arms are compared by its mean over members.",
    {
        Metric.CLICK_RATE: "The share of the member's lists with a CLICK event.",
        Metric.WATCH_RATE: "The share of the member's lists with a WATCH event.",
        Metric.COMPLETION: "The mean, over lists with a WATCH event, of the largest fraction watched.",
        Metric.MEAN_STARS: "The mean stars of movies that lists showed and the member first rated "
        "afterwards.",
        Metric.LISTS_UNTIL_WATCH: "The number of the first list with a WATCH event; without one, of all "
        "lists and one more.",
        Metric.DIVERSITY: "The mean diversity by genre of the member's lists, 0 to 1.",
    },
)


@strawberry.type(description="A mean over members with its 95 % interval.")
class ExperimentEstimate:
    value: float = strawberry.field(description="The mean.")
    low: float | None = strawberry.field(description="The lower end; null with fewer than two members.")
    high: float | None = strawberry.field(description="The upper end; null with fewer than two members.")

    @classmethod
    def of(cls, estimate: differences.Estimate) -> Self:
        return cls(value=estimate.value, low=estimate.low, high=estimate.high)


@strawberry.type(description="The mean of a metric over the members of an arm.")
class ExperimentMean:
    metric: Metric = strawberry.field(description="The metric.")
    estimate: ExperimentEstimate = strawberry.field(description="The mean with its interval.")


@strawberry.type(description="An arm of an experiment, with what its members did.")
class ExperimentArm:
    name: str = strawberry.field(description="The name of the arm.")
    share: float = strawberry.field(description="The arm's share of the members of the layer, 0 to 1.")
    model_version: str | None = strawberry.field(
        description="The model of the arm's lists; null for the active one."
    )
    diversity: float | None = strawberry.field(
        description="The diversity of the arm's lists; null for the default."
    )
    exploration: float | None = strawberry.field(
        description="The probability that a place has a random movie of the first 100; null for 0."
    )
    users: int = strawberry.field(description="Members who were shown a list of the arm.")
    lists: int = strawberry.field(description="Lists shown: those with an IMPRESSION event.")
    impressions: int = strawberry.field(description="IMPRESSION events of these lists.")
    click_rate: float | None = strawberry.field(
        description="The mean over members of the share of lists with a CLICK; null without lists."
    )
    watch_rate: float | None = strawberry.field(
        description="The mean over members of the share of lists with a WATCH; null without lists."
    )
    mean_rating: ExperimentEstimate | None = strawberry.field(
        description="The mean over members of the stars of movies that lists showed; null without ratings."
    )
    means: list[ExperimentMean] = strawberry.field(
        directives=[ListSize(assumed_size=6)], description="The means of all metrics that are known."
    )

    @classmethod
    def of(cls, arm: object, result: report.ArmResult) -> Self:
        found = {metric: ExperimentEstimate.of(each) for metric, each in result.metrics.items()}

        def value(metric: Metric) -> float | None:
            return found[metric].value if metric in found else None

        return cls(
            name=result.name,
            share=result.share,
            model_version=getattr(arm, "model_version", None),
            diversity=getattr(arm, "diversity", None),
            exploration=getattr(arm, "exploration", None),
            users=result.users,
            lists=result.lists,
            impressions=result.impressions,
            click_rate=value(Metric.CLICK_RATE),
            watch_rate=value(Metric.WATCH_RATE),
            mean_rating=found.get(Metric.MEAN_STARS),
            means=[ExperimentMean(metric=metric, estimate=each) for metric, each in found.items()],
        )


@strawberry.type(description="The relative difference of an arm from the baseline in a metric.")
class ExperimentComparison:
    arm: str = strawberry.field(description="The name of the arm.")
    baseline: str = strawberry.field(description="The name of the first arm.")
    metric: Metric = strawberry.field(description="The metric.")
    test: Test = strawberry.field(description="The test of `pValue`.")
    users: int = strawberry.field(description="Members of both arms, or in both.")
    lift: float | None = strawberry.field(
        description="The arm's mean divided by the baseline's, minus 1; null with too little data."
    )
    low: float | None = strawberry.field(
        description="Lower end of the 95 % interval of `lift`, for one look at the planned end."
    )
    high: float | None = strawberry.field(description="Upper end of this interval.")
    p_value: float | None = strawberry.field(
        description="The probability of such a difference if there is none, for one look at the planned end."
    )
    sequential_low: float | None = strawberry.field(
        description="Lower end of the 95 % interval of `lift` that holds at all times, however often one "
        "looks; null with fewer than 400 members."
    )
    sequential_high: float | None = strawberry.field(description="Upper end of this interval.")
    cuped_lift: float | None = strawberry.field(
        description="`lift` after CUPED, which removes what the member's metric in the 28 days before the "
        "experiment explains."
    )
    cuped_low: float | None = strawberry.field(description="Lower end of the 95 % interval of `cupedLift`.")
    cuped_high: float | None = strawberry.field(description="Upper end of this interval.")
    cuped_p_value: float | None = strawberry.field(description="The p-value after CUPED.")
    cuped_explained: float | None = strawberry.field(
        description="The share of the variance that CUPED removes."
    )

    @classmethod
    def of(cls, found: report.Comparison) -> Self:
        return cls(**{name: getattr(found, name) for name in found.__slots__})


@strawberry.type(description="Whether the arms have their shares of the members.")
class ExperimentSampleRatio:
    p_value: float = strawberry.field(description="The p-value of the chi-square test of the shares.")
    mismatch: bool = strawberry.field(
        description="Whether the p-value is below 0.001. Then something treats the arms differently, and the "
        "comparisons are not to be trusted."
    )

    @classmethod
    def of(cls, found: sample_ratio.SampleRatio) -> Self:
        return cls(p_value=found.p_value, mismatch=found.mismatch)


@strawberry.type(description="A comparison as it was at an earlier time.")
class ExperimentLook:
    at: datetime = strawberry.field(description="The time.")
    comparison: ExperimentComparison = strawberry.field(description="The comparison by then.")
