"""Whether the arms have the members that they should have.

Fabijan et al., "Diagnosing Sample Ratio Mismatch in Online Controlled Experiments" (KDD 2019): if the numbers
of members differ from the shares by more than chance, something treats the arms differently, and the
comparison is not to be trusted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc  # the service does not load scipy.stats, which is slow

SUSPICIOUS = 0.001  # p-value from which chance is not believed


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """`p_value`: of the chi-square test that the arms have their shares of the members."""

    p_value: float
    mismatch: bool


def sample_ratio(members: Sequence[int], shares: Sequence[float]) -> SampleRatio | None:
    """Test the numbers of members against the shares; None with fewer than two arms or no members."""
    total = sum(members)
    if len(members) < 2 or not total:  # noqa: PLR2004 - two arms to compare
        return None
    expected = total * np.asarray(shares) / sum(shares)
    squared = float(((np.asarray(members) - expected) ** 2 / expected).sum())
    p_value = float(chdtrc(len(members) - 1, squared))
    return SampleRatio(p_value, p_value < SUSPICIOUS)
