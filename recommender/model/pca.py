"""Fewer columns that tell most of what many do."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

SOLVED_WHOLE = 512  # items or features
POWER_ITERATIONS = 4
NOTHING = 1e-6  # of the largest variance: a component of less is rounding


def principal_components(
    features: csr_matrix, width: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(n_features, width) float32 and the projected mean (width,): PCA, the matrix left sparse.

    Components in descending order of variance, 0 beyond what the features span. Those of more than
    SOLVED_WHOLE items and features are found by random projection: Halko, Martinsson and Tropp, "Finding
    Structure with Randomness", SIAM Review 2011, algorithm 4.4.
    """
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - serving transforms without scikit-learn

    components = np.zeros((features.shape[1], width), np.float32)
    mean = np.asarray(features.sum(axis=0), np.float32).ravel() / max(1, features.shape[0])
    rank = min(width, min(features.shape) - 1)
    if rank > 0 and features.nnz:
        with threadpool_limits(limits=1, user_api="blas"):  # two threads would add in another order
            span = _span(features, rank, rng)
            projected = features @ span - mean @ span  # (n, n_features) @ (n_features, at least rank)
            variance, turned = np.linalg.eigh(np.asarray(projected.T @ projected, np.float64))
            kept = np.flatnonzero(variance > NOTHING * variance[-1])[::-1][:rank]
            components[:, : len(kept)] = span @ turned[:, kept].astype(np.float32)
    return components, mean @ components


def _span(features: csr_matrix, rank: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """(n_features, m) orthonormal columns that span the first `rank` principal components, m > rank.

    The features are not centred: one direction more has room for their mean.
    """
    from sklearn.utils.extmath import randomized_svd  # noqa: PLC0415

    if min(features.shape) <= SOLVED_WHOLE:
        return np.asarray(np.linalg.svd(features.toarray(), full_matrices=False)[2].T, np.float32)
    seed = int(rng.integers(2**31))
    *_, right = randomized_svd(features, rank + 1, n_iter=POWER_ITERATIONS, random_state=seed)
    return np.asarray(right.T, np.float32)
