"""Content prior: predict the factors of an item from its content, for items with few or no ratings."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

MAX_LANDMARKS = 1024
BLOCK = 4096  # items whose kernel rows are in memory at once
# Chosen on held-out items of a validation split; the optimum is flat.
WIDTH = 0.5
SHRINKAGE = 3.0


@dataclass(frozen=True, slots=True)
class ContentPrior:
    """Kernel ridge regression from content vectors to item factors.

    With k(a, b) = exp(WIDTH (a.b - 1)) and the most-rated items as landmarks L, f(a) = k(a, L) A minimizes
    sum_i w_i |y_i - f(a_i)|^2 + SHRINKAGE tr(A^T K_LL A), w_i the item's count of ratings over the mean count
    (subset of regressors: Rasmussen and Williams 2006, eq. 8.14).

    landmarks: float32 (n_landmarks, width); coefficients: float32 (n_landmarks, factors).
    """

    landmarks: Floats
    coefficients: Floats

    @classmethod
    def fit(cls, content: Floats, item_factors: Floats, counts: npt.NDArray[np.int64]) -> Self:
        """content: float32 (n, width); item_factors: float32 (n, factors); counts: int64 (n,), > 0."""
        chosen = np.sort(np.argsort(-counts, kind="stable")[:MAX_LANDMARKS])
        landmarks = content[chosen]
        weights = counts / counts.mean()
        gram = SHRINKAGE * _kernel(landmarks, landmarks).astype(np.float64)
        moment = np.zeros((len(chosen), item_factors.shape[1]))
        for start in range(0, len(content), BLOCK):
            block = slice(start, start + BLOCK)
            rows = _kernel(content[block], landmarks).astype(np.float64)  # (n, n_landmarks)
            weighted = rows * weights[block, None]
            gram += weighted.T @ rows
            moment += weighted.T @ item_factors[block]
        gram[np.diag_indices(len(chosen))] += 1e-6 * len(content)  # equal items make the kernel singular
        return cls(landmarks, np.linalg.solve(gram, moment).astype(np.float32))

    def factors(self, content: Floats) -> Floats:
        """Predict factors, float32 (n, factors), from content, float32 (n, width); 0 for content of zeros."""
        placed = np.zeros((len(content), self.coefficients.shape[1]), np.float32)
        for start in range(0, len(content), BLOCK):
            block = slice(start, start + BLOCK)
            placed[block] = _kernel(content[block], self.landmarks) @ self.coefficients
        placed[~content.any(axis=1)] = 0
        return placed


def _kernel(a: Floats, b: Floats) -> Floats:
    kernel: Floats = np.exp(np.float32(WIDTH) * (a @ b.T - np.float32(1)))
    return kernel
