import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from recommender.model.fold_in import PRIOR_RATINGS
from recommender.training import ials
from recommender.training.checkpoint import Checkpoint
from tests.conftest import ROOT

REGULARIZATION, ALPHA0 = 0.02, 0.3


@pytest.fixture
def targets() -> sparse.csr_matrix:
    rng = np.random.default_rng(3)
    # One row is longer than a panel, one is empty.
    rows = [rng.permutation(700)[:n] for n in (40, 0, 650, 1, 12)]
    indptr = np.cumsum([0, *(len(row) for row in rows)])
    indices = np.concatenate([np.sort(row) for row in rows])
    values = rng.random(len(indices)).astype(np.float32)
    return sparse.csr_matrix((values, indices, indptr), shape=(5, 700))


def test_half_step_solves_the_normal_equations(targets: sparse.csr_matrix) -> None:
    fixed = np.random.default_rng(4).standard_normal((700, 9)).astype(np.float32)
    solved = ials.half_step(targets, fixed, regularization=REGULARIZATION, alpha0=ALPHA0)
    dense, seen = targets.toarray().astype(np.float64), np.zeros(targets.shape)
    seen[targets.nonzero()] = 1
    wide = fixed.astype(np.float64)
    for row in range(5):
        weights = seen[row] + ALPHA0
        scaled = REGULARIZATION * (seen[row].sum() + ALPHA0 * 700)
        a = wide.T @ (weights[:, None] * wide) + scaled * np.eye(9)
        expected = np.linalg.solve(a, wide.T @ dense[row])
        np.testing.assert_allclose(solved[row], expected, rtol=2e-4, atol=1e-6)


def _loss(targets: sparse.csr_matrix, users: np.ndarray, items: np.ndarray) -> float:
    n_users, n_items = targets.shape
    seen = np.zeros(targets.shape)
    seen[targets.nonzero()] = 1
    predicted = users.astype(np.float64) @ items.T.astype(np.float64)
    by_user = REGULARIZATION * (seen.sum(axis=1) + ALPHA0 * n_items)
    by_item = REGULARIZATION * (seen.sum(axis=0) + ALPHA0 * n_users)
    return float(
        (seen * (targets.toarray() - predicted) ** 2).sum()
        + ALPHA0 * (predicted**2).sum()
        + by_user @ (users**2).sum(axis=1)
        + by_item @ (items**2).sum(axis=1)
    )


def test_the_loss_of_the_docstring_falls_with_every_iteration(targets: sparse.csr_matrix) -> None:
    losses = [
        _loss(
            targets,
            *ials.fit(
                targets,
                factors=4,
                iterations=n,
                rng=np.random.default_rng(0),
                regularization=REGULARIZATION,
                alpha0=ALPHA0,
            ),
        )
        for n in (1, 2, 4, 8)
    ]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0]


FIT = """
import sys
import numba
import numpy as np
from scipy import sparse
from recommender.training import ials

targets = sparse.load_npz(sys.argv[1])
rng = np.random.default_rng(8)
regularization = ials.regularization_for(targets, alpha0=0.3, rng=rng)
fit = ials.fit(targets, factors=8, iterations=3, rng=rng, regularization=regularization, alpha0=0.3)
np.savez(sys.argv[2], *fit, threads=numba.get_num_threads())
"""


def test_one_seed_gives_one_model_whatever_the_number_of_threads(
    targets: sparse.csr_matrix, tmp_path: Path
) -> None:
    """A process of its own for each number, since this one is limited to one thread."""
    sparse.save_npz(tmp_path / "targets.npz", targets)
    fitted = []
    for threads in (1, 4):
        file = tmp_path / f"{threads}.npz"
        command = [sys.executable, "-c", FIT, str(tmp_path / "targets.npz"), str(file)]
        environment = {**os.environ, "NUMBA_NUM_THREADS": str(threads)}
        subprocess.run(command, cwd=ROOT, env=environment, check=True)
        with np.load(file) as arrays:
            assert arrays["threads"] == threads
            fitted.append([arrays[name].tobytes() for name in arrays.files if name != "threads"])
    assert len(fitted[0]) == 2
    assert fitted[0] == fitted[1]


class Killed(Exception):
    pass


def test_a_fit_that_was_stopped_goes_on_to_the_same_bits(targets: sparse.csr_matrix, tmp_path: Path) -> None:
    def fit(checkpoint: Checkpoint, stop_at: float = 2, ratings: sparse.csr_matrix = targets) -> list[float]:
        fractions: list[float] = []

        def progress(fraction: float) -> None:
            fractions.append(fraction)
            if fraction >= stop_at:
                raise Killed

        rng = np.random.default_rng(8)
        factors[:] = ials.fit(
            ratings, factors=6, iterations=5, rng=rng, progress=progress, checkpoint=checkpoint,
            regularization=REGULARIZATION, alpha0=ALPHA0,
        )  # fmt: skip
        return fractions

    factors: list[np.ndarray] = []
    assert fit(Checkpoint()) == [0.2, 0.4, 0.6, 0.8, 1.0]
    unbroken = [side.tobytes() for side in factors]
    kept = Checkpoint(tmp_path / "kept")
    with pytest.raises(Killed):
        fit(kept, stop_at=0.6)
    assert fit(kept) == [0.6, 0.8, 1.0]
    assert [side.tobytes() for side in factors] == unbroken
    # Fits of other ratings do not resume from it, nor does any fit from an incomplete file.
    assert fit(kept, ratings=targets * np.float32(0.9))[0] == 0.2
    for file in (tmp_path / "kept").iterdir():
        file.write_bytes(file.read_bytes()[:-100])
    assert fit(kept)[0] == 0.2
    assert [side.tobytes() for side in factors] == unbroken


def test_checkerboard_returns_the_withheld_diagonal() -> None:
    n = 60
    rows, columns = np.indices((n, n))
    board = ((rows + columns) % 2 == 0) & (rows != columns)
    targets = sparse.csr_matrix(board.astype(np.float32))
    rng = np.random.default_rng(0)
    users, items = ials.fit(targets, factors=4, iterations=10, rng=rng, regularization=0.01, alpha0=0.1)
    scores = np.where(board, -np.inf, users @ items.T)
    assert scores.argmax(axis=1).tolist() == list(range(n))


def test_regularization_shrinks_more_where_there_is_less_to_see() -> None:
    rng = np.random.default_rng(0)
    dense = sparse.random(200, 100, 0.5, format="csr", rng=rng, dtype=np.float32)
    thin = sparse.random(200, 100, 0.02, format="csr", rng=rng, dtype=np.float32)
    # Relative to the weight of a user's ratings against the whole catalog, noise is larger for few ratings.
    per_rating = [
        ials.regularization_for(targets, alpha0=0.4, rng=np.random.default_rng(1)) / targets.nnz
        for targets in (dense, thin)
    ]
    assert per_rating[1] > 2 * per_rating[0]
    assert ials.regularization_for(sparse.csr_matrix(np.ones((9, 9), np.float32)), alpha0=0.4, rng=rng) > 0


def test_the_prior_holds_where_there_are_no_ratings_and_gives_way_where_there_are_many() -> None:
    rng = np.random.default_rng(2)
    users = rng.standard_normal((400, 5)).astype(np.float32)
    true, prior = rng.standard_normal((2, 3, 5)).astype(np.float32)
    rated = [np.arange(0), np.arange(8), np.arange(400)]
    indptr = np.cumsum([0, *(len(row) for row in rated)])
    indices = np.concatenate(rated)
    targets = np.concatenate([users[row] @ item for row, item in zip(rated, true, strict=True)])
    item_users = sparse.csr_matrix((targets.astype(np.float32), indices, indptr), shape=(3, 400))
    placed = ials.toward(prior, item_users, users, regularization=1e-4, alpha0=1e-3)
    np.testing.assert_allclose(placed[0], prior[0], rtol=1e-5)
    np.testing.assert_allclose(placed[2], true[2], atol=0.02)
    plain = ials.half_step(item_users, users, regularization=1e-4, alpha0=1.0)
    drawn = ials.toward(prior, item_users, users, regularization=1e-4, alpha0=1.0)
    assert np.linalg.norm(drawn[1] - prior[1]) < np.linalg.norm(plain[1] - prior[1])


def test_the_prior_step_solves_its_normal_equations(targets: sparse.csr_matrix) -> None:
    rng = np.random.default_rng(6)
    users = rng.standard_normal((700, 4)).astype(np.float32)
    prior = rng.standard_normal((5, 4)).astype(np.float32)
    placed = ials.toward(prior, targets, users, regularization=REGULARIZATION, alpha0=ALPHA0)
    wide, dense = users.astype(np.float64), targets.toarray().astype(np.float64)
    for row in range(5):
        seen = dense[row] != 0
        n = seen.sum()
        expected = PRIOR_RATINGS / (n + PRIOR_RATINGS) * prior[row].astype(np.float64)
        unrated = ALPHA0 * wide.T @ wide + REGULARIZATION * (n + ALPHA0 * 700) * np.eye(4)
        a = unrated + wide[seen].T @ wide[seen]
        b = wide[seen].T @ dense[row, seen] + unrated @ expected
        np.testing.assert_allclose(placed[row], np.linalg.solve(a, b), rtol=1e-3, atol=1e-5)
