"""Small, deterministic versions of the simulations of bench.experiments."""

from bench import experiments
from recommender.evaluation import logged_lists


def test_experiments_without_a_difference_seldom_find_one() -> None:
    """Of 100: at most 5 in expectation, and at most 10 with a probability of 99 %."""
    at_end, with_cuped, at_all_times, repeated = experiments.without_difference(100).values()
    assert at_end <= 0.1
    assert with_cuped <= 0.1
    assert at_all_times <= 0.1
    assert repeated > 0.15  # the simulation would show the mistake


def test_a_difference_is_found_as_planned_and_sooner_with_cuped() -> None:
    plain, adjusted = experiments.with_difference(25)
    assert 0.6 <= plain.found <= 0.96
    assert 0.6 <= adjusted.found <= 0.96
    assert adjusted.size.arm < 0.85 * plain.size.arm


def test_estimates_of_another_policy_contain_the_truth() -> None:
    for estimate, inside in logged_lists.coverage(100).items():
        assert inside >= 0.93, estimate
