"""The number of members that an experiment needs."""

import math
from dataclasses import dataclass

from scipy import stats

from app.experiments.differences import ALPHA

MOST = 10**12  # members of an arm


@dataclass(frozen=True, slots=True)
class Size:
    """Members of the baseline and of the other arm."""

    baseline: int
    arm: int


class Undetectable(Exception):
    """No number of members shows the difference. The message is for the operator."""


def power(effect: float, baseline: float, arm: float, alpha: float = ALPHA) -> float:
    """The probability that a two-sided t-test of two arms of these sizes is significant.

    `effect`: the difference of the means in standard deviations. By the noncentral t distribution: Cohen,
    "Statistical Power Analysis for the Behavioral Sciences" (1988), section 2.
    """
    freedom = baseline + arm - 2
    shift = abs(effect) * math.sqrt(baseline * arm / (baseline + arm))
    critical = float(stats.t.ppf(1 - alpha / 2, freedom))
    found = float(stats.nct.sf(critical, freedom, shift))
    # scipy gives nan where the distribution is far from the critical value.
    return found if math.isfinite(found) else float(stats.norm.sf(critical - shift))


def members_needed(
    *, mean: float, deviation: float, lift: float, wanted: float, ratio: float = 1.0, correlation: float = 0.0
) -> Size:
    """The fewest members with which a relative difference `lift` is significant with probability `wanted`.

    `mean`, `deviation`: of the metric over members. `ratio`: members of the arm for each of the baseline.
    `correlation`: of the metric with its value before the experiment, for CUPED: the standard deviation is
    sqrt(1 - correlation^2) times as large. Raises Undetectable.
    """
    left = deviation * math.sqrt(1 - correlation**2)
    if not (left > 0 and mean * lift):
        raise Undetectable("The metric has no mean or no variance: there is nothing to detect.")
    effect = abs(mean * lift) / left
    low, high = 2, 4
    while power(effect, high, max(2.0, high * ratio)) < wanted:
        low, high = high, 2 * high
        if high > MOST:
            raise Undetectable("The difference is too small to be detected.")
    while high - low > 1:
        middle = (low + high) // 2
        if power(effect, middle, max(2.0, middle * ratio)) < wanted:
            low = middle
        else:
            high = middle
    return Size(high, max(2, math.ceil(high * ratio)))
