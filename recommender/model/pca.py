"""Principal component analysis of sparse matrices."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

SOLVED_WHOLE = 512  # items or features up to which the decomposition is exact
POWER_ITERATIONS = 4
MIN_VARIANCE = 1e-6  # relative to the largest; a component of less is rounding error


def principal_components(
    features: csr_matrix, width: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the components, float32 (n_features, width), and the projected mean, float32 (width,).

    Components are in descending order of variance, and 0 beyond the rank of the features, which stay sparse.
    With more than SOLVED_WHOLE items and features they are found by random projection: Halko, Martinsson and
    Tropp, "Finding Structure with Randomness", SIAM Review 2011, algorithm 4.4.
    """
    components = np.zeros((features.shape[1], width), np.float32)
    mean = np.asarray(features.sum(axis=0), np.float32).ravel() / max(1, features.shape[0])
    rank = min(width, min(features.shape) - 1)
    if rank > 0 and features.nnz:
        with threadpool_limits(limits=1, user_api="blas"):  # fixes the order of summation
            span = _span(features, rank, rng)
            projected = features @ span - mean @ span  # (n, n_features) @ (n_features, at least rank)
            variance, turned = np.linalg.eigh(np.asarray(projected.T @ projected, np.float64))
            kept = np.flatnonzero(variance > MIN_VARIANCE * variance[-1])[::-1][:rank]
            components[:, : len(kept)] = span @ turned[:, kept].astype(np.float32)
    return components, mean @ components


def _span(features: csr_matrix, rank: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Orthonormal columns that span the first `rank` principal components, float32 (n_features, m), m > rank.

    The features are not centered, so one more direction is needed for their mean.
    """
    if min(features.shape) <= SOLVED_WHOLE:
        return np.asarray(np.linalg.svd(features.toarray(), full_matrices=False)[2].T, np.float32)
    from sklearn.utils.extmath import randomized_svd  # noqa: PLC0415 - slow, and serving loads this module

    seed = int(rng.integers(2**31))
    *_, right = randomized_svd(features, rank + 1, n_iter=POWER_ITERATIONS, random_state=seed)
    return np.asarray(right.T, np.float32)
