"""Off-policy evaluation: value a policy by the lists that another policy served with exploration.

Each of n logged choices has `logged`, the probability with which it was made (its propensity); `other`, the
probability with which the other policy would have made it; and `reward`, what it earned. The probabilities
are those given the choices before it in the list. All functions return the mean reward of the other policy.

Choices of one member are not independent. With `members`, int64 (n,), the member of each choice, each member
counts once, with the mean of their choices, and intervals are over members.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Members = NDArray[np.int64] | None
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class ValueEstimate:
    """A mean reward with its 95 % interval. `effective`: the number of choices that carry the estimate."""

    value: float
    low: float
    high: float
    effective: float


def inverse_propensity(
    logged: Floats, other: Floats, reward: Floats, members: Members = None
) -> ValueEstimate:
    """Weigh each reward by other / logged: unbiased, if the logging policy makes each choice of the other.

    Horvitz and Thompson, "A generalization of sampling without replacement from a finite universe" (1952).
    Arrays float64 (n,). Raises ValueError for a propensity that is not above 0.
    """
    weights = weights_of(logged, other)
    return _estimate(_by(members, weights * reward), weights)


def self_normalized(logged: Floats, other: Floats, reward: Floats, members: Members = None) -> ValueEstimate:
    """Divide by the sum of the weights instead of n: a little bias for much less variance.

    Swaminathan and Joachims, "The Self-Normalized Estimator for Counterfactual Learning" (NIPS 2015). The
    interval is by the delta method. Raises ValueError as `inverse_propensity`, and if all weights are 0.
    """
    weights = weights_of(logged, other)
    earned, own = _by(members, weights * reward), _by(members, weights)
    total = own.mean()
    if not total:
        raise ValueError("the other policy makes none of the logged choices")
    value = float(earned.mean() / total)
    return _estimate(value + (earned - value * own) / total, weights)


def doubly_robust(
    logged: Floats,
    other: Floats,
    reward: Floats,
    predicted: Floats,
    expected: Floats,
    members: Members = None,
) -> ValueEstimate:
    """Predict the rewards, and weigh only the errors: right if propensities or predictions are.

    `predicted` float64 (n,): the predicted reward of each logged choice; `expected` float64 (n,): the mean
    predicted reward of the other policy's choice at the same place. The predictions must not come from the
    same logs. Dudik, Langford and Li, "Doubly Robust Policy Evaluation and Learning" (ICML 2011), equation 2.
    """
    weights = weights_of(logged, other)
    return _estimate(_by(members, expected + weights * (reward - predicted)), weights)


def weights_of(logged: Floats, other: Floats) -> Floats:
    if not ((logged > 0) & (logged <= 1)).all():
        raise ValueError("propensities must be above 0 and at most 1")
    return other / logged


def _by(members: Members, values: Floats) -> Floats:
    """The mean of the values of each member, float64; the values themselves without members."""
    if members is None:
        return values
    _, owner, counts = np.unique(members, return_inverse=True, return_counts=True)
    return np.asarray(np.bincount(owner, values) / counts, np.float64)


def _estimate(terms: Floats, weights: Floats) -> ValueEstimate:
    """The mean of independent terms with its interval. `effective`: Kish's effective sample size."""
    mean = float(terms.mean())
    quantile = float(stats.t.ppf((1 + LEVEL) / 2, terms.size - 1))
    half = quantile * float(terms.std(ddof=1)) / np.sqrt(terms.size)
    squares = float((weights**2).sum())
    effective = float(weights.sum()) ** 2 / squares if squares else 0.0
    return ValueEstimate(mean, mean - half, mean + half, effective)
