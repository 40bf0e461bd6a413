"""The difference between two arms in the mean of a metric over members, with its interval and p-value.

Members are independent of each other and lists of one member are not, so each member counts once, with the
mean of their lists.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit  # the service does not load scipy.stats, which is slow

LEVEL = 0.95  # of intervals
ALPHA = 1 - LEVEL
MIN_MEMBERS = 2  # of an arm, for a variance
ROUNDING = 1e-20  # a squared relative error: values that differ by less are equal

Values = NDArray[np.float64]


class Test(StrEnum):
    WELCH_T = "WELCH_T"
    PAIRED_T = "PAIRED_T"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with the ends of its 95 % interval, which are None for fewer than two members."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Difference:
    """The relative difference of an arm from the baseline: mean / baseline mean - 1.

    `low`, `high`: 95 % interval of `lift` by the delta method. `error`: the standard error of `lift`.
    `p_value`: two-sided, that both means are equal. `members`: of both arms, or pairs.
    """

    lift: float
    low: float
    high: float
    error: float
    p_value: float
    members: int


def mean_of(values: Values) -> Estimate | None:
    """The mean of members' values with its interval by Student's t; None without members."""
    if not values.size:
        return None
    mean = float(values.mean())
    if values.size < MIN_MEMBERS:
        return Estimate(mean, None, None)
    half = float(stdtrit(values.size - 1, 1 - ALPHA / 2) * values.std(ddof=1) / math.sqrt(values.size))
    return Estimate(mean, mean - half, mean + half)


def welch(baseline: Values, arm: Values) -> Difference | None:
    """Compare the members of two arms by Welch's t-test; None if there is no variance or the baseline is 0.

    The interval is that of Deng, Knoblich and Lu, "Applying the Delta Method in Metric Analytics" (KDD 2018),
    for the ratio of two independent means, with the degrees of freedom of the test.
    """
    if min(baseline.size, arm.size) < MIN_MEMBERS:
        return None
    base, mean = float(baseline.mean()), float(arm.mean())
    base_variance = float(baseline.var(ddof=1)) / baseline.size
    variance = float(arm.var(ddof=1)) / arm.size
    total = base_variance + variance
    if base == 0 or total <= ROUNDING * base**2:
        return None
    # The degrees of freedom of Welch and Satterthwaite.
    freedom = total**2 / (base_variance**2 / (baseline.size - 1) + variance**2 / (arm.size - 1))
    error = math.sqrt(variance / base**2 + mean**2 * base_variance / base**4)
    t = (mean - base) / math.sqrt(total)
    return _difference(mean / base - 1, error, t, freedom, baseline.size + arm.size)


def paired(baseline: Values, arm: Values) -> Difference | None:
    """Compare two values of the same members, aligned, by the paired t-test; None as for `welch`."""
    if baseline.size < MIN_MEMBERS:
        return None
    base, mean = float(baseline.mean()), float(arm.mean())
    if base == 0 or float((arm - baseline).var()) <= ROUNDING * base**2:
        return None
    (base_variance, covariance), (_, variance) = np.cov(baseline, arm) / baseline.size
    squared = variance / base**2 + mean**2 * base_variance / base**4 - 2 * mean * covariance / base**3
    apart = arm - baseline
    t = float(apart.mean() / (apart.std(ddof=1) / math.sqrt(apart.size)))
    return _difference(mean / base - 1, math.sqrt(max(squared, 0.0)), t, baseline.size - 1, baseline.size)


def _difference(lift: float, error: float, t: float, freedom: float, members: int) -> Difference:
    half = float(stdtrit(freedom, 1 - ALPHA / 2)) * error
    return Difference(lift, lift - half, lift + half, error, float(2 * stdtr(freedom, -abs(t))), members)


@dataclass(frozen=True, slots=True)
class Adjusted:
    """The values of two arms without what a covariate explains. `explained`: the share of the variance."""

    baseline: Values
    arm: Values
    explained: float


def cuped(baseline: Values, arm: Values, before_baseline: Values, before_arm: Values) -> Adjusted:
    """Subtract what each member's value before the experiment explains.

    Deng, Xu, Kohavi and Walker, "Improving the Sensitivity of Online Controlled Experiments by Utilizing
    Pre-Experiment Data" (WSDM 2013), equation 4: y - theta (x - mean x), theta = cov(y, x) / var(x), both
    within the arms, so that the effect does not bias theta. A member without a value before (nan) counts with
    the mean, and so stays unadjusted.
    """
    known = np.concatenate((before_baseline, before_arm))
    mean = float(np.nanmean(known)) if np.isfinite(known).any() else 0.0
    x_base, x_arm = np.nan_to_num(before_baseline, nan=mean), np.nan_to_num(before_arm, nan=mean)
    x = np.concatenate((x_base - x_base.mean(), x_arm - x_arm.mean()))
    y = np.concatenate((baseline - baseline.mean(), arm - arm.mean()))
    spread = float(x @ x)
    theta = float(x @ y) / spread if spread else 0.0
    center = float(np.concatenate((x_base, x_arm)).mean())
    explained = theta**2 * spread / float(y @ y) if float(y @ y) else 0.0
    return Adjusted(baseline - theta * (x_base - center), arm - theta * (x_arm - center), explained)
