"""Graded implicit matrix factorization by exact alternating least squares.

    L = sum_{(u,i) rated} (p_ui - x_u.y_i)^2 + alpha0 sum_{all u,i} (x_u.y_i)^2
      + sum_u lambda_u |x_u|^2 + sum_i lambda_i |y_i|^2

with lambda_u = regularization (n_u + alpha0 n_items) and lambda_i = regularization (n_i + alpha0 n_users),
where n_u and n_i count ratings. The unobserved weight and the scaled regularization are those of Rendle,
Krichene, Zhang and Koren ("Revisiting the Performance of iALS on Item Recommendation Benchmarks", RecSys
2022) with nu = 1; the alternation is that of Hu, Koren and Volinsky, ICDM 2008.
"""

from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
from numba import njit, prange, types
from numba.extending import get_cython_function_address
from scipy import sparse
from scipy.sparse.linalg import svds
from threadpoolctl import threadpool_limits

from recommender.model.fold_in import content_share, frequency_scaled
from recommender.training.blocks import IN_PROCESS, Block, Blocks, Workers, joined
from recommender.training.checkpoint import NOTHING_KEPT, Checkpoint, Reached

Floats = npt.NDArray[np.float32]
PANEL = 512  # rows gathered at once, so that memory is independent of the longest row
CHUNK = 1 << 16  # ratings whose factors are gathered at once
# Chosen on validation splits of MovieLens latest-small, MovieTweetings and eight sparser and denser subsets.
# The best fixed regularization of these is .003 to .027; the estimate is within a factor of 2 of it.
NOISE_SHARE = 0.3


def _fortran(library: str, name: str, n_arguments: int) -> Any:
    """A BLAS or LAPACK routine for compiled code, by symbol name, so that numba can cache its callers."""
    symbol = f"marquee_{name}"
    llvm.add_symbol(symbol, get_cython_function_address(f"scipy.linalg.cython_{library}", name))
    return types.ExternalFunction(symbol, types.void(*[types.uintp] * n_arguments))


_ssyrk = _fortran("blas", "ssyrk", 10)
_sposv = _fortran("lapack", "sposv", 8)


def fit(
    user_items: sparse.csr_matrix,
    *,
    factors: int,
    regularization: float,
    alpha0: float,
    iterations: int,
    rng: np.random.Generator,
    progress: Callable[[float], None] = lambda _fraction: None,
    checkpoint: Checkpoint = NOTHING_KEPT,
    workers: Workers = IN_PROCESS,
) -> tuple[Floats, Floats]:
    """Fit user factors, float32 (n_users, factors), and item factors, float32 (n_items, factors).

    `user_items`, csr float32 (n_users, n_items), holds the targets p. Bitwise deterministic for one state of
    `rng` and any number of threads and `workers` of one type of processor, because each row is solved by one
    thread. Each iteration is saved to `checkpoint`; a fit with a checkpoint resumes from it, to the same
    result. `progress` is called with the fraction done after each iteration and on resuming.
    """
    n_users, n_items = user_items.shape
    item_users = user_items.T.tocsr()
    user_factors = np.zeros((n_users, factors), np.float32)
    item_factors = (rng.standard_normal((n_items, factors)) * (0.1 / np.sqrt(factors))).astype(np.float32)
    scales = {"regularization": regularization, "alpha0": alpha0}
    name = checkpoint.name(item_factors, user_items, iterations=iterations, **scales)
    done = 0
    if (found := checkpoint.reached(name)) is not None:
        done, user_factors, item_factors = found
        progress(done / iterations)
    row = {"row_bytes": 2 * item_factors.itemsize * factors}  # solved, and sent
    with (
        threadpool_limits(limits=1, user_api="blas"),
        workers.split(user_items, shared_bytes=item_factors.nbytes, **row) as users,
        workers.split(item_users, shared_bytes=user_factors.nbytes, **row) as items,
    ):
        for iteration in range(done, iterations):
            user_factors = solve(users, item_factors, **scales)
            item_factors = solve(items, user_factors, **scales)
            checkpoint.keep(name, Reached(iteration + 1, user_factors, item_factors))
            progress((iteration + 1) / iterations)
    return user_factors, item_factors


def regularization_for(user_items: sparse.csr_matrix, *, alpha0: float, rng: np.random.Generator) -> float:
    """Estimate the regularization that suppresses the noise in these targets.

    With D the diagonals of n_u + alpha0 n_items and n_i + alpha0 n_users, a direction of D_u^-1/2 P D_i^-1/2
    contributes only if its singular value is well above the regularization. The noise is measured on P with
    its columns shuffled over all ratings, which keeps all counts and removes preferences. Its first singular
    value is popularity, its second is noise; the result is NOISE_SHARE of the second.
    """
    n_users, n_items = user_items.shape
    # Too few for a second singular value, or all targets 0.
    if min(n_users, n_items) < 3 or not user_items.data.any():  # noqa: PLR2004
        return NOISE_SHARE
    order = rng.permutation(user_items.nnz)
    shuffled = (user_items.data[order].astype(np.float64), user_items.indices[order], user_items.indptr)
    noise = sparse.csr_matrix(shuffled, shape=user_items.shape)
    by_user = sparse.diags_array((np.diff(user_items.indptr) + alpha0 * n_items) ** -0.5)
    counts = np.bincount(user_items.indices, minlength=n_items)
    by_item = sparse.diags_array((counts + alpha0 * n_users) ** -0.5)
    scaled = (by_user @ noise @ by_item).tocsr()
    start = rng.standard_normal(min(n_users, n_items))
    with threadpool_limits(limits=1, user_api="blas"):
        values = svds(scaled, k=2, v0=start, return_singular_vectors=False)
    # A minimum, so that the system is solvable if shuffling regular ratings leaves no noise.
    return NOISE_SHARE * max(float(values.min()), 0.01 * float(values.max()))


def half_step(rows: sparse.csr_matrix, fixed: Floats, *, regularization: float, alpha0: float) -> Floats:
    """Solve the factors, float32 (n_rows, factors), that minimize L given `fixed` factors of the other side.

    Each row solves (alpha0 Y^T Y + sum_rated y y^T + lambda I) x = sum_rated p y by Cholesky. Raises
    LinAlgError for a row that is not positive definite.
    """
    return solve_block(Block(0, rows), fixed, _gram(fixed, alpha0), regularization, alpha0)


def solve(blocks: Blocks, fixed: Floats, *, regularization: float, alpha0: float) -> Floats:
    """Do the half-step of a matrix in blocks; see `half_step`."""
    return joined(blocks.map_blocks(solve_block, (fixed, _gram(fixed, alpha0), regularization, alpha0)))


def solve_block(block: Block, fixed: Floats, gram: Floats, regularization: float, alpha0: float) -> Floats:
    """Do the half-step of some rows. gram: alpha0 Y^T Y, float32 (factors, factors)."""
    rows = block.rows
    scaled = frequency_scaled(np.diff(rows.indptr), rows.shape[1], regularization, alpha0)
    solved = np.zeros((rows.shape[0], fixed.shape[1]), np.float32)
    failed = np.zeros(rows.shape[0], np.int32)
    targets = rows.data.astype(np.float32, copy=False)
    _solve_rows(rows.indptr, rows.indices, targets, fixed, gram, scaled, solved, failed)
    if failed.any():
        row = block.first + int(failed.argmax())
        raise np.linalg.LinAlgError(f"row {row} is not positive definite: raise regularization")
    return solved


def _gram(fixed: Floats, alpha0: float) -> Floats:
    return np.float32(alpha0) * (fixed.T @ fixed)  # (factors, n) @ (n, factors)


def toward(
    prior: Floats,
    item_users: sparse.csr_matrix,
    user_factors: Floats,
    *,
    regularization: float,
    alpha0: float,
) -> Floats:
    """The item half-step with the prior mean `prior`, float32 (n_items, factors).

    The prior mean of an item of n ratings is `content_share(n)` times its row (a Gaussian prior over factors
    as in Agarwal and Chen, KDD 2009). The target of users who have not rated it is
    then their score of that mean instead of 0. An item without ratings has the factors of its prior.
    """
    counts = np.diff(item_users.indptr)
    expected = content_share(counts).astype(np.float32)[:, None] * prior
    rows = np.repeat(np.arange(len(counts)), counts)
    surprise = item_users.copy()
    for start in range(0, surprise.nnz, CHUNK):
        chunk = slice(start, start + CHUNK)
        predicted = np.einsum("nd,nd->n", user_factors[surprise.indices[chunk]], expected[rows[chunk]])
        surprise.data[chunk] -= predicted
    moved = half_step(surprise, user_factors, regularization=regularization, alpha0=alpha0)
    return np.asarray(expected + moved, np.float32)


@njit(parallel=True, cache=True)
def _solve_rows(
    indptr: npt.NDArray[Any],
    indices: npt.NDArray[Any],
    targets: Floats,
    fixed: Floats,
    gram: Floats,
    scaled: Floats,
    solved: Floats,
    failed: npt.NDArray[np.int32],
) -> None:
    d = fixed.shape[1]
    for row in prange(solved.shape[0]):
        if indptr[row] == indptr[row + 1]:
            continue
        a = gram.copy()
        for k in range(d):
            a[k, k] += scaled[row]
        b = np.zeros(d, np.float32)
        panel = np.empty((PANEL, d), np.float32)
        flags = np.array([76, 78], np.uint8)  # "L", "N"; the lower triangle in Fortran is the upper one here
        sizes = np.array([d, 1, 0, 0], np.int32)  # order, right-hand sides, rows of the panel, status
        unit = np.ones(1, np.float32)
        lower, plain, one = flags.ctypes.data, flags[1:].ctypes.data, unit.ctypes.data
        order, count, length = sizes.ctypes.data, sizes[1:].ctypes.data, sizes[2:].ctypes.data
        for start in range(indptr[row], indptr[row + 1], PANEL):
            n = min(PANEL, indptr[row + 1] - start)
            sizes[2] = n
            for r in range(n):
                target = targets[start + r]
                source = fixed[indices[start + r]]
                for k in range(d):
                    panel[r, k] = source[k]
                    b[k] += target * source[k]
            _ssyrk(lower, plain, order, length, one, panel.ctypes.data, order, one, a.ctypes.data, order)
        _sposv(lower, order, count, a.ctypes.data, order, b.ctypes.data, order, sizes[3:].ctypes.data)
        failed[row] = sizes[3]
        solved[row] = b
