import numba
import numpy as np
import pytest
from scipy import sparse

from recommender import ials
from recommender.fold_in import FactorModel, graded
from recommender.interactions import History

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


def test_one_seed_gives_one_model_whatever_the_number_of_threads(targets: sparse.csr_matrix) -> None:
    threads = numba.get_num_threads()
    fitted = []
    for n_threads in (1, threads):
        numba.set_num_threads(n_threads)
        rng = np.random.default_rng(8)
        regularization = ials.regularization_for(targets, alpha0=0.3, rng=rng)
        fit = ials.fit(targets, factors=8, iterations=3, rng=rng, regularization=regularization, alpha0=0.3)
        fitted.append(fit)
    numba.set_num_threads(threads)
    for one, other in zip(*fitted, strict=True):
        assert one.tobytes() == other.tobytes()


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
    # In units of what a user's own ratings weigh against the whole catalogue, chance is larger when few rate.
    per_rating = [
        ials.regularization_for(targets, alpha0=0.4, rng=np.random.default_rng(1)) / targets.nnz
        for targets in (dense, thin)
    ]
    assert per_rating[1] > 2 * per_rating[0]
    assert ials.regularization_for(sparse.csr_matrix(np.ones((9, 9), np.float32)), alpha0=0.4, rng=rng) > 0


@pytest.fixture
def model() -> FactorModel:
    items = np.random.default_rng(5).standard_normal((50, 6)).astype(np.float32)
    items[40:] = 0
    return FactorModel.of(items, np.arange(50) < 40, regularization=0.02, alpha0=0.3)


@pytest.mark.parametrize("n", [1, 4, 6, 7, 30])
def test_folding_in_is_the_half_step(model: FactorModel, n: int) -> None:
    rng = np.random.default_rng(n)
    item_idx = np.sort(rng.permutation(40)[:n]).astype(np.int32)
    history = History.of(item_idx, rng.integers(1, 11, n) / 2)
    row = sparse.csr_matrix((graded(history.stars), item_idx, [0, n]), shape=(1, 40))
    solved = ials.half_step(row, model.item_factors[:40], regularization=0.02, alpha0=0.3)[0]
    np.testing.assert_allclose(model.user_factors(history), solved, rtol=1e-3, atol=1e-5)


def test_an_empty_history_has_no_taste(model: FactorModel) -> None:
    assert not model.user_factors(History.of([])).any()


def test_rotation_leaves_scores_and_standardises_over_the_rated_films(model: FactorModel) -> None:
    history = History.of([1, 5, 9], [5, 2, 4])
    scores = model.item_factors[:40] @ model.user_factors(history)
    np.testing.assert_allclose(
        model.standardise(model.user_factors(history)), (scores.mean(), scores.std()), rtol=1e-3
    )


def test_effects_are_what_leaving_a_film_out_does_to_the_scores(model: FactorModel) -> None:
    history = History.of([1, 5, 9, 30], [5, 0.5, 4, 3])
    films = np.array([2, 17, 33], np.int32)
    effects = model.effects(history, films)
    # Leaving a film out also lowers lambda by one rating's worth, which is no doing of the film: held here.
    diagonal = np.diag(model._diagonal(len(history))).astype(np.float64)
    rows, targets = model.item_factors[history.item_idx].astype(np.float64), graded(history.stars)

    def scores(keep: np.ndarray) -> np.ndarray:
        kept = rows[keep]
        user = np.linalg.solve(diagonal + kept.T @ kept, kept.T @ targets[keep])
        everything = model.item_factors[:40] @ user
        return np.asarray((everything[films] - everything.mean()) / everything.std())

    whole = scores(np.arange(4))
    for left_out in range(4):
        without = scores(np.delete(np.arange(4), left_out))
        np.testing.assert_allclose(effects[left_out], whole - without, rtol=1e-3, atol=1e-4)


def test_without_its_only_film_a_history_says_nothing(model: FactorModel) -> None:
    history = History.of([7])
    scores = model.item_factors[:40] @ model.user_factors(history)
    film = np.array([3], np.int32)
    expected = (scores[film] - scores.mean()) / scores.std()
    np.testing.assert_allclose(model.effects(history, film)[0], expected, rtol=1e-3)
