"""Exploration of a ranking by epsilon-greedy choices, with their propensities.

Each place of the list takes the best movie that is left with probability 1 - epsilon, and otherwise one of
those left in the pool, each equally likely. So the probability of each choice, given those before it, is
known exactly; estimators of `recommender.evaluation.off_policy` need it.
"""

import numpy as np
from numpy.typing import NDArray

POOL = 100  # the first movies of a ranking, which trade places; those after it stay


def explored(size: int, epsilon: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The new order of the first `size` places of a ranking, int64 (size,), and propensities float32 (size,).

    order[j] is the old place of the movie at place j, and propensities[j] the probability of that choice
    given the choices before it. Places from POOL on are unchanged, with propensity 1. The same seed gives the
    same order.
    """
    pool = min(size, POOL)
    rng = np.random.default_rng(seed)
    explores = rng.random(pool) < epsilon
    choices = rng.random(pool)
    order, propensities = np.arange(size), np.ones(size, np.float32)
    left = list(range(pool))
    for place in range(pool):
        chosen = int(choices[place] * len(left)) if explores[place] else 0
        greedy = 0.0 if chosen else 1 - epsilon
        propensities[place] = greedy + epsilon / len(left)
        order[place] = left.pop(chosen)
    return order, propensities
