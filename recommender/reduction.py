"""Fewer columns that tell most of what many do."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

SOLVED_WHOLE = 512  # films or features


def principal_components(
    features: csr_matrix, width: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(n_features, width) float32 and the projected mean (width,): PCA by Lanczos, the matrix left sparse."""
    from sklearn.decomposition import PCA  # noqa: PLC0415 - serving transforms without scikit-learn
    from threadpoolctl import threadpool_limits  # noqa: PLC0415

    components = np.zeros((features.shape[1], width), np.float32)
    rank = min(width, min(features.shape) - 1)
    if rank > 0 and features.nnz:
        # Lanczos restarts at random where the features span less than is asked: few of them are solved whole.
        small = min(features.shape) <= SOLVED_WHOLE
        solver, rows = ("full", features.toarray()) if small else ("arpack", features)
        pca = PCA(rank, svd_solver=solver, random_state=int(rng.integers(2**31)))
        with threadpool_limits(limits=1, user_api="blas"):  # many small steps: threads would only wait
            pca.fit(rows)
        components[:, :rank] = pca.components_.T
    mean = np.asarray(features.sum(axis=0), np.float32).ravel() / max(1, features.shape[0])
    offset = mean @ components
    return components, offset
