"""Intervals that hold at all times at once, so that an experiment may be looked at, and stopped, at any time.

Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and asymptotic confidence
sequences" (2021; Annals of Statistics 2024), theorem 2.2: with the mean m and the standard deviation s of n
observations, the probability that the truth ever leaves

    m +- s sqrt(2 (n rho^2 + 1) / (n^2 rho^2) log(sqrt(n rho^2 + 1) / alpha))

is at most alpha, asymptotically. s / sqrt(n) is the standard error of m; for a difference of two arms it is
that of the difference, with n the members of both.

The theorem is about values that do not change. A member's metric does, as more lists are shown: its noise
averages out between two looks, so that the looks are less alike than in the theorem. The interval therefore
begins late, at MIN_MEMBERS; `python -m bench.experiments` measures how often it is wrong.
"""

import math

from app.experiments.differences import ALPHA, Difference

TIGHTEST_AT = 2_000  # members at which the interval is narrowest, compared with a fixed one
MIN_MEMBERS = 400  # of both arms


def squared_rho(tightest_at: int = TIGHTEST_AT, alpha: float = ALPHA) -> float:
    """The rho^2 that is best at a number of observations: equation 10 of the paper, approximated."""
    return (-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / tightest_at


def standard_errors(members: int, alpha: float = ALPHA) -> float:
    """Half the width of the interval, in standard errors; 1.96 in an interval for a single look."""
    scaled = members * squared_rho(alpha=alpha)
    return math.sqrt(2 * (scaled + 1) / scaled * math.log(math.sqrt(scaled + 1) / alpha))


def interval(difference: Difference) -> tuple[float, float] | None:
    """The interval of the lift that holds at all times; None with fewer than MIN_MEMBERS."""
    if difference.members < MIN_MEMBERS:
        return None
    half = standard_errors(difference.members) * difference.error
    return difference.lift - half, difference.lift + half
