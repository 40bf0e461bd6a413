"""Tests, intervals and sizes, against published examples and other ways to compute the same."""

from typing import Any

import numpy as np
import pytest

from app.experiments.differences import cuped, mean_of, paired, welch
from app.experiments.power import Size, Undetectable, members_needed, power
from app.experiments.sample_ratio import sample_ratio

# Student, "The probable error of a mean", Biometrika 6 (1908): hours of sleep gained by two drugs.
DRUG = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])
OTHER_DRUG = np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])


def test_welch_and_paired_tests_as_published() -> None:
    """The p-values are those of R's documentation of t.test, for the same data."""
    found, pairs = welch(DRUG, OTHER_DRUG), paired(DRUG, OTHER_DRUG)
    assert found is not None
    assert pairs is not None
    assert found.p_value == pytest.approx(0.07939, abs=5e-6)
    assert pairs.p_value == pytest.approx(0.002833, abs=5e-7)
    assert found.lift == pairs.lift == pytest.approx(2.33 / 0.75 - 1)
    assert (found.members, pairs.members) == (20, 10)


def test_the_interval_of_the_lift_holds_the_truth_in_95_of_100() -> None:
    rng = np.random.default_rng(5)
    inside = inside_pairs = 0
    for _ in range(1_000):
        base, arm = rng.gamma(2, 1.0, 300), rng.gamma(2, 1.1, 200)
        found = welch(base, arm)
        assert found is not None
        inside += found.low < 0.1 < found.high
        taste = rng.gamma(2, 1.0, 200)
        pairs = paired(taste + rng.normal(2, 1, 200), 1.1 * taste + rng.normal(2.2, 1, 200))
        assert pairs is not None
        inside_pairs += pairs.low < 0.1 < pairs.high
    assert 936 <= inside <= 964
    assert 936 <= inside_pairs <= 964


@pytest.mark.parametrize(
    ("baseline", "arm"), [([1.0], [1.0, 2.0]), ([1.0, 1.0], [1.0, 1.0]), ([0.0, 0.0], [1.0, 2.0])]
)
def test_arms_that_cannot_be_compared(baseline: list[float], arm: list[float]) -> None:
    assert welch(np.array(baseline), np.array(arm)) is None


def test_pairs_without_a_difference() -> None:
    assert paired(np.array([1.0, 2.0]), np.array([1.0, 2.0])) is None
    assert paired(np.array([1.0]), np.array([2.0])) is None


def test_means() -> None:
    assert mean_of(np.empty(0)) is None
    alone = mean_of(np.array([2.0]))
    assert alone is not None
    assert (alone.value, alone.low, alone.high) == (2.0, None, None)
    drug = mean_of(OTHER_DRUG - DRUG)  # R's documentation: 0.7001142 to 2.4598858
    assert drug is not None
    assert drug.low == pytest.approx(0.7001142)
    assert drug.high == pytest.approx(2.4598858)


def test_cuped_is_the_regression_on_arm_and_covariate() -> None:
    rng = np.random.default_rng(2)
    before = rng.normal(5, 2, 500)
    values = 3 + 0.8 * before + rng.normal(0, 1, 500)
    values[250:] += 0.4
    without = cuped(values[:250], values[250:], before[:250], before[250:])
    in_arm = (np.arange(500) >= 250).astype(np.float64)
    design = np.column_stack((np.ones(500), in_arm, before))
    coefficients: Any = np.linalg.lstsq(design, np.asarray(values, np.float64), rcond=None)[0]
    assert without.arm.mean() - without.baseline.mean() == pytest.approx(coefficients[1])
    assert without.explained == pytest.approx(0.8**2 * 4 / (0.8**2 * 4 + 1), abs=0.04)
    assert np.concatenate((without.baseline, without.arm)).mean() == pytest.approx(values.mean())


def test_members_without_a_past_stay_as_they_are() -> None:
    values, nothing = np.array([1.0, 2.0, 4.0]), np.full(3, np.nan)
    without = cuped(values, values + 1, nothing, nothing)
    assert (without.baseline == values).all()
    assert (without.arm == values + 1).all()
    assert without.explained == 0


@pytest.mark.parametrize(("effect", "members"), [(0.2, 394), (0.5, 64), (0.8, 26)])
def test_sizes_as_published(effect: float, members: int) -> None:
    """Cohen, "A power primer", Psychological Bulletin 112 (1992), table 2: 393, 64 and 26.

    393 gives a power of 0.7998, which the table rounds to 0.80.
    """
    assert members_needed(mean=1, deviation=1, lift=effect, wanted=0.8) == Size(members, members)
    assert power(effect, members, members) >= 0.8 > power(effect, members - 1, members - 1)


def test_uneven_arms_need_more_and_cuped_needs_fewer() -> None:
    even = members_needed(mean=0.3, deviation=0.3, lift=0.05, wanted=0.8)
    uneven = members_needed(mean=0.3, deviation=0.3, lift=0.05, wanted=0.8, ratio=0.25)
    fewer = members_needed(mean=0.3, deviation=0.3, lift=0.05, wanted=0.8, correlation=0.7)
    assert uneven.baseline + uneven.arm > 1.5 * (even.baseline + even.arm)
    assert uneven.arm == pytest.approx(uneven.baseline / 4, abs=1)
    assert fewer.baseline / even.baseline == pytest.approx(1 - 0.49, abs=0.01)


@pytest.mark.parametrize(("mean", "deviation", "lift"), [(0, 1, 0.1), (1, 0, 0.1), (1, 1, 0)])
def test_nothing_to_detect(mean: float, deviation: float, lift: float) -> None:
    with pytest.raises(Undetectable):
        members_needed(mean=mean, deviation=deviation, lift=lift, wanted=0.8)


def test_sample_ratio_as_published() -> None:
    """Kohavi, Tang and Xu, "Trustworthy Online Controlled Experiments" (2020): 1.8e-6."""
    found = sample_ratio([821_588, 815_482], [0.5, 0.5])
    assert found is not None
    assert found.p_value == pytest.approx(1.8e-6, abs=5e-8)
    assert found.mismatch
    fair = sample_ratio([600, 305], [0.5, 0.25])
    assert fair is not None
    assert not fair.mismatch
    assert sample_ratio([0, 0], [0.5, 0.5]) is None
    assert sample_ratio([5], [1.0]) is None
