"""Simulated logs of lists with exploration, where the value of another policy is known."""

import numpy as np

from recommender.evaluation.off_policy import (
    ValueEstimate,
    doubly_robust,
    inverse_propensity,
    self_normalized,
)
from recommender.exploration import explored

ITEMS, EPSILON, LISTS = 10, 0.5, 1_500
RATES = 0.6 / (1 + np.arange(ITEMS))  # chance of a click, by the old rank
OTHER = (0.2, 0.5, 0.3)  # the other policy's probabilities of the ranks 0, 1 and 2 for the first place
TRUTH = float(np.dot(OTHER, RATES[: len(OTHER)]))


def estimates(seed: int) -> dict[str, ValueEstimate]:
    """The value of the other policy from LISTS logged lists, whose first place is clicked or not.

    The predictions of the doubly robust estimate are wrong on purpose: all rates are half of the truth.
    """
    rng = np.random.default_rng(seed)
    shown, logged = np.empty(LISTS, np.int64), np.empty(LISTS)
    for place in range(LISTS):
        order, propensities = explored(ITEMS, EPSILON, int(rng.integers(2**48)))
        shown[place], logged[place] = order[0], propensities[0]
    chance = np.zeros(ITEMS)
    chance[: len(OTHER)] = OTHER
    reward = (rng.random(LISTS) < RATES[shown]).astype(np.float64)
    predictions = RATES / 2
    expected = np.full(LISTS, float(chance @ predictions))
    return {
        "inverse propensity": inverse_propensity(logged, chance[shown], reward),
        "self-normalized": self_normalized(logged, chance[shown], reward),
        "doubly robust": doubly_robust(logged, chance[shown], reward, predictions[shown], expected),
    }


def coverage(times: int, seed: int = 4) -> dict[str, float]:
    """The share of `times` logs in which the truth is inside the interval, by estimate."""
    found = [estimates(seed + 1_000_003 * number) for number in range(times)]
    return {
        name: float(np.mean([each[name].low <= TRUTH <= each[name].high for each in found]))
        for name in found[0]
    }
