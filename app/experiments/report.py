"""The report of an experiment: its arms, their differences from the baseline, and the lift over time."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text

from app.db.engine import Sessions
from app.experiments import outcomes, sequential
from app.experiments.assignment import Design, Experiment
from app.experiments.differences import Estimate, Test, cuped, mean_of, paired, welch
from app.experiments.measures import Measures, Metric, measured
from app.experiments.outcomes import Outcomes
from app.experiments.sample_ratio import SampleRatio, sample_ratio

LOOKS = 28  # points in time of the curves
READ_ONLY = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")


@dataclass(frozen=True, slots=True)
class ArmResult:
    """An arm with the members who saw a list of it. `metrics`: means over members with 95 % intervals."""

    name: str
    share: float
    users: int
    lists: int
    impressions: int
    metrics: Mapping[Metric, Estimate]


@dataclass(frozen=True, slots=True)
class Comparison:
    """An arm beside the baseline. `low`, `high`: 95 % interval of `lift`, for one look.

    `sequential_low`, `sequential_high`: interval that holds at all times; see `sequential`. `cuped_*`: the
    same test with CUPED; `cuped_explained`: the share of the variance that it removes. None where there is
    too little data.
    """

    arm: str
    baseline: str
    metric: Metric
    test: Test
    users: int
    lift: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    sequential_low: float | None = None
    sequential_high: float | None = None
    cuped_lift: float | None = None
    cuped_low: float | None = None
    cuped_high: float | None = None
    cuped_p_value: float | None = None
    cuped_explained: float | None = None

    @property
    def always(self) -> tuple[float | None, float | None]:
        return self.sequential_low, self.sequential_high


@dataclass(frozen=True, slots=True)
class Look:
    """A comparison as it would have been at an earlier time."""

    at: datetime
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class Report:
    made_at: datetime
    arms: list[ArmResult]
    comparisons: list[Comparison]
    sample_ratio: SampleRatio | None
    looks: list[Look]

    def as_json(self) -> dict[str, Any]:
        """Plain values; `of_json` reads them."""
        return asdict(self) | {
            "made_at": self.made_at.isoformat(),
            "looks": [asdict(look) | {"at": look.at.isoformat()} for look in self.looks],
        }


def of_json(stored: Mapping[str, Any]) -> Report:
    """The report from what `Report.as_json` made."""

    def comparison(of: Mapping[str, Any]) -> Comparison:
        return Comparison(**{**of, "metric": Metric(of["metric"]), "test": Test(of["test"])})

    ratio = stored["sample_ratio"]
    return Report(
        datetime.fromisoformat(stored["made_at"]),
        [
            ArmResult(
                **{**arm, "metrics": {Metric(name): Estimate(**of) for name, of in arm["metrics"].items()}}
            )
            for arm in stored["arms"]
        ],
        [comparison(of) for of in stored["comparisons"]],
        ratio and SampleRatio(**ratio),
        [Look(datetime.fromisoformat(of["at"]), comparison(of["comparison"])) for of in stored["looks"]],
    )


async def report(sessions: Sessions, experiment: Experiment, *, unlimited: bool = False) -> Report:
    """The report as of now, in at most five statements; that of a stopped experiment, if it is stored.

    `unlimited`: without a limit on the time of the statements.
    """
    if experiment.report is not None:
        return of_json(experiment.report)
    async with sessions() as session:
        await session.execute(READ_ONLY)
        if unlimited:
            await session.execute(outcomes.NO_TIMEOUT)
        now = datetime.now(UTC)
        found = await outcomes.of_experiment(session, experiment, experiment.over_at(now))
        users = np.unique(found.user).tolist()
        before = await outcomes.earlier(session, users, experiment.starts_at)
    return await asyncio.to_thread(made, experiment, found, before, now)


def made(experiment: Experiment, found: Outcomes, before: Outcomes, now: datetime) -> Report:
    """The report from outcomes of the experiment, and from those of its members before it."""
    measures, covariates = measured(found), measured(before)
    arms = list(arm_results(experiment, measures))
    ratio = None
    if experiment.design is Design.FIXED:
        ratio = sample_ratio([arm.users for arm in arms], [arm.share for arm in arms])
    return Report(
        now,
        arms,
        list(comparisons(experiment, measures, covariates)),
        ratio,
        list(looks(experiment, found, covariates, now)),
    )


def arm_results(experiment: Experiment, measures: Measures) -> Iterator[ArmResult]:
    for place, arm in enumerate(experiment.arms):
        own = measures.arm == place
        means = ((metric, mean_of(known(values[own]))) for metric, values in measures.values.items())
        yield ArmResult(
            arm.name,
            arm.share,
            int(own.sum()),
            int(measures.lists[own].sum()),
            int(measures.impressions[own].sum()),
            {metric: mean for metric, mean in means if mean is not None},
        )


def comparisons(experiment: Experiment, measures: Measures, covariates: Measures) -> Iterator[Comparison]:
    """Each arm after the first with the first, by each metric."""
    for place in range(1, len(experiment.arms)):
        for metric in Metric:
            yield compared(experiment, measures, covariates, metric, place)


def compared(
    experiment: Experiment, measures: Measures, covariates: Measures, metric: Metric, place: int
) -> Comparison:
    values = measures.values[metric]
    base, own = (np.isfinite(values) & (measures.arm == arm) for arm in (0, place))
    switches = experiment.design is Design.SWITCHBACK
    if switches:
        both = np.intersect1d(measures.user[base], measures.user[own])
        base, own = base & np.isin(measures.user, both), own & np.isin(measures.user, both)
    found = (paired if switches else welch)(values[base], values[own])
    names = experiment.arms[place].name, experiment.arms[0].name
    test = Test.PAIRED_T if switches else Test.WELCH_T
    if found is None:
        return Comparison(*names, metric, test, int(base.sum() + (0 if switches else own.sum())))
    low, high = sequential.interval(found) or (None, None)
    comparison = Comparison(
        *names,
        metric,
        test,
        found.members,
        found.lift,
        found.low,
        found.high,
        found.p_value,
        low,
        high,
    )
    return comparison if switches else adjusted(comparison, measures, covariates, base, own)


def adjusted(
    comparison: Comparison,
    measures: Measures,
    covariates: Measures,
    base: NDArray[np.bool_],
    own: NDArray[np.bool_],
) -> Comparison:
    """Add the comparison with CUPED, whose covariate is the member's same metric before the experiment."""
    earlier = aligned(covariates, comparison.metric, measures.user)
    values = measures.values[comparison.metric]
    without = cuped(values[base], values[own], earlier[base], earlier[own])
    found = welch(without.baseline, without.arm)
    if found is None:
        return comparison
    return replace(
        comparison,
        cuped_lift=found.lift,
        cuped_low=found.low,
        cuped_high=found.high,
        cuped_p_value=found.p_value,
        cuped_explained=without.explained,
    )


def aligned(covariates: Measures, metric: Metric, users: NDArray[np.int64]) -> NDArray[np.float64]:
    """The metric of each of these members before the experiment, float64; nan for one without lists."""
    if not covariates.user.size:
        return np.full(users.size, np.nan)
    place = np.minimum(np.searchsorted(covariates.user, users), covariates.user.size - 1)
    return np.where(covariates.user[place] == users, covariates.values[metric][place], np.nan)


def looks(experiment: Experiment, found: Outcomes, covariates: Measures, now: datetime) -> Iterator[Look]:
    """The comparisons at LOOKS times from the start until now, or the end."""
    began, ended = experiment.starts_at.timestamp(), experiment.over_at(now).timestamp()
    for moment in np.linspace(began, ended, LOOKS + 1)[1:].tolist():
        measures = measured(found, moment)
        for comparison in comparisons(experiment, measures, covariates):
            if comparison.lift is not None:
                yield Look(datetime.fromtimestamp(moment, UTC), comparison)


def known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values[np.isfinite(values)]
