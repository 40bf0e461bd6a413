"""Simulate experiments with a known truth, and write docs/bench/experiments.md.

    python -m bench.experiments --page docs/bench/experiments.md

Members come one after the other and see several lists each. A member's own click rate varies between members
and is the same before and during the experiment, which is what CUPED uses. The statistics are those of
`app.experiments`.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.accounts.viewer import Role
from app.experiments import sequential
from app.experiments.assignment import Arm, Experiment, ListOwner, arm_of, treatment_of
from app.experiments.differences import ALPHA, Difference, cuped, welch
from app.experiments.power import Size, members_needed
from recommender.evaluation.logged_lists import coverage

LISTS, BEFORE = 5.0, 10.0  # mean number of a member's lists in the experiment, and in the time before
SPREAD = 2.0, 5.0  # parameters of the Beta distribution of members' click rates
LOOKS = 50
LIFT, POWER = 0.05, 0.8
START = datetime(2026, 1, 1, tzinfo=UTC)
MEMBERS = 100_000
REQUESTS = 20_000


@dataclass(frozen=True, slots=True)
class World:
    """Members of an experiment with their lists, in order of time.

    `arm`, `before` (m,): of members; `before` is the click rate before. `member`, `clicked` (n,): of lists.
    """

    arm: NDArray[np.bool_]
    before: NDArray[np.float64]
    member: NDArray[np.int64]
    clicked: NDArray[np.bool_]

    def rates(self, lists: int | None = None) -> NDArray[np.float64]:
        """The click rate of each member after so many lists of all; nan for one without a list."""
        seen = slice(lists)
        counts = np.bincount(self.member[seen], minlength=self.arm.size)
        clicks = np.bincount(self.member[seen], self.clicked[seen], self.arm.size)
        with np.errstate(invalid="ignore"):
            return clicks / counts

    def difference(self, lists: int | None = None) -> Difference | None:
        rates = self.rates(lists)
        there = np.isfinite(rates)
        return welch(rates[there & ~self.arm], rates[there & self.arm])

    def adjusted(self) -> Difference | None:
        """The difference after CUPED."""
        rates, arm = self.rates(), self.arm
        without = cuped(rates[~arm], rates[arm], self.before[~arm], self.before[arm])
        return welch(without.baseline, without.arm)


def world(rng: np.random.Generator, size: Size, lift: float = 0.0) -> World:
    """An experiment with so many members, of whom those of the arm click `lift` more often."""
    members = size.baseline + size.arm
    arm = rng.permutation(members) >= size.baseline
    own = rng.beta(*SPREAD, members)
    earlier = 1 + rng.poisson(BEFORE - 1, members)
    before = rng.binomial(earlier, own) / earlier
    lists = 1 + rng.poisson(LISTS - 1, members)
    member = np.repeat(np.arange(members), lists)
    times = rng.random(members)[member] * 0.8 + rng.random(member.size) * 0.2
    rate = np.minimum(own * np.where(arm, 1 + lift, 1.0), 1.0)
    clicked = rng.random(member.size) < rate[member]
    order = np.argsort(times)
    return World(arm, before, member[order], clicked[order])


def significant(found: Difference | None, lift: float = 0.0) -> bool:
    """Whether a test finds a difference; of the sign of `lift`, if it is not 0."""
    return found is not None and found.p_value < ALPHA and (not lift or found.lift * lift > 0)


def ever(made: World) -> tuple[bool, bool]:
    """Whether, at any of LOOKS looks, the interval at all times excludes 0, and a t-test is significant."""
    outside = found = False
    for lists in np.linspace(0, made.member.size, LOOKS + 1)[1:].astype(int):
        difference = made.difference(int(lists))
        always = None if difference is None else sequential.interval(difference)
        outside |= always is not None and not always[0] <= 0 <= always[1]
        found |= significant(difference)
    return outside, found


def without_difference(times: int, seed: int = 1) -> dict[str, float]:
    """Shares of `times` experiments without a difference in which each method finds one."""
    rng = np.random.default_rng(seed)
    names = (
        "Welch's t-test, one look at the end",
        "the same with CUPED",
        f"interval at all times, {LOOKS} looks",
        f"Welch's t-test, {LOOKS} looks (wrong)",
    )
    made = (world(rng, Size(1_000, 1_000)) for _ in range(times))
    found = [(significant(each.difference()), significant(each.adjusted()), *ever(each)) for each in made]
    return dict(zip(names, np.mean(found, axis=0).tolist(), strict=True))


def pilot(seed: int = 2) -> tuple[float, float, float]:
    """Mean and standard deviation of members' click rates, and the correlation with the time before."""
    made = world(np.random.default_rng(seed), Size(100_000, 100_000))
    rates = made.rates()
    return float(rates.mean()), float(rates.std()), float(np.corrcoef(rates, made.before)[0, 1])


@dataclass(frozen=True, slots=True)
class Found:
    """A planned size, and the share of experiments of this size in which the difference is found."""

    size: Size
    found: float


def with_difference(times: int, seed: int = 3) -> tuple[Found, Found]:
    """Experiments with a true lift, at the planned size: without CUPED, and with it."""
    mean, deviation, correlation = pilot()
    rng = np.random.default_rng(seed)
    needs = {"mean": mean, "deviation": deviation, "lift": LIFT, "wanted": POWER}
    plain, fewer = members_needed(**needs), members_needed(**needs, correlation=correlation)
    found = [significant(world(rng, plain, LIFT).difference(), LIFT) for _ in range(times)]
    adjusted = [significant(world(rng, fewer, LIFT).adjusted(), LIFT) for _ in range(times)]
    return Found(plain, float(np.mean(found))), Found(fewer, float(np.mean(adjusted)))


def experiments() -> tuple[Experiment, ...]:
    """Three experiments at once: two of one layer, one of another."""
    ends = START + timedelta(days=28)
    halves = (Arm("old", 0.25), Arm("new", 0.25, diversity=0.5))
    return (
        Experiment(1, "first", "salt 1", halves, START, ends, slice_to=0.5),
        Experiment(2, "second", "salt 2", halves, START, ends, slice_from=0.5),
        Experiment(
            3, "third", "salt 3", (Arm("a", 0.7), Arm("b", 0.3, exploration=0.1)), START, ends, "other"
        ),
    )


def furthest_share() -> float:
    """The largest difference of an arm's share from the plan, over MEMBERS members."""
    worst = 0.0
    for experiment in experiments():
        arms = [arm_of(experiment, ListOwner(id_, Role.USER, START, 0), START) for id_ in range(MEMBERS)]
        for arm in experiment.arms:
            worst = max(worst, abs(sum(each is arm for each in arms) / MEMBERS - arm.share))
    return worst


def microseconds() -> float:
    """Processor time of the assignment in a request: the best of 5 runs."""
    running, times = experiments(), []
    for _ in range(5):
        began = time.process_time()
        for id_ in range(REQUESTS):  # a request asks before and after it reads the ratings
            treatment_of(running, ListOwner(id_, Role.USER, START), START)
            treatment_of(running, ListOwner(id_, Role.USER, START, 12), START)
        times.append((time.process_time() - began) / REQUESTS)
    return min(times) * 1e6


def lines(times: int) -> Iterator[str]:
    yield "# Experiments"
    yield ""
    yield f"Simulated experiments, {times:,} of each kind: `python -m bench.experiments`. The truth is known."
    yield ""
    yield f"## Without a difference: how often one is found (2,000 members, {LISTS:g} lists each)"
    yield ""
    yield "| method | found |"
    yield "|---|---|"
    for method, share in without_difference(times).items():
        yield f"| {method} | {share:.1%} |"
    yield ""
    plain, adjusted = with_difference(times)
    yield f"## With a lift of {LIFT:.0%}, at the size of `marquee experiment plan` for a power of {POWER:.0%}"
    yield ""
    yield "| method | members of each arm | found |"
    yield "|---|---|---|"
    yield f"| Welch's t-test | {plain.size.arm:,} | {plain.found:.1%} |"
    yield f"| the same with CUPED | {adjusted.size.arm:,} | {adjusted.found:.1%} |"
    yield ""
    yield "## Estimates of another policy from logged lists: the truth inside the 95 % interval"
    yield ""
    yield "| estimate | inside |"
    yield "|---|---|"
    for estimate, share in coverage(times).items():
        yield f"| {estimate} | {share:.1%} |"
    yield ""
    yield "## Assignment"
    yield ""
    yield "| | |"
    yield "|---|---|"
    yield f"| largest difference of a share from the plan, {MEMBERS:,} members | {furthest_share():.2%} |"
    yield f"| processor time in a request, three experiments | {microseconds():.1f} µs |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path, help="write the page; default: print it")
    parser.add_argument("--times", type=int, default=1_000, help="experiments of each kind")
    given = parser.parse_args()
    text = "\n".join(lines(given.times)) + "\n"
    if given.page is None:
        print(text, end="")  # noqa: T201 - the output
    else:
        given.page.write_text(text)


if __name__ == "__main__":
    main()
