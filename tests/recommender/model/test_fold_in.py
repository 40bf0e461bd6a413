from dataclasses import replace

import numpy as np
import pytest

from recommender.interactions import History
from recommender.model import fold_in
from recommender.model.fold_in import FactorModel, graded

ALPHA0, N_RATED, N_USERS = 0.3, 40, 500


@pytest.fixture(scope="module")
def fitted() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Item factors, the last ten of them not in the fit, user factors of mean > 0, and counts of ratings."""
    rng = np.random.default_rng(5)
    items = rng.standard_normal((50, 6)).astype(np.float32)
    items[N_RATED:] = 0
    users = (rng.standard_normal((N_USERS, 6)) @ rng.standard_normal((6, 6)) + 0.5).astype(np.float32)
    return items, users, rng.integers(0, 200, N_USERS)


@pytest.fixture(scope="module")
def model(fitted: tuple[np.ndarray, np.ndarray, np.ndarray]) -> FactorModel:
    items, users, counts = fitted
    rated = np.arange(50) < N_RATED
    return FactorModel.of(items, rated, user_factors=users, counts=counts, alpha0=ALPHA0)


def _tastes(fitted: tuple[np.ndarray, np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    _, users, counts = fitted
    weights = counts / (counts + fold_in.COVARIANCE_RATINGS)
    return np.average(users, axis=0, weights=weights), np.cov(users.T, aweights=weights, ddof=0)


def _posterior(
    fitted: tuple[np.ndarray, np.ndarray, np.ndarray], rows: np.ndarray, targets: np.ndarray, n: int
) -> np.ndarray:
    """The minimum of the docstring's function for n items, in the basis of the fit, float64."""
    items = fitted[0][:N_RATED].astype(np.float64)
    average, spread = _tastes(fitted)
    pull = fold_in.NOISE * fold_in.FADING / (n + fold_in.FADING) * np.linalg.inv(spread)
    a = n / (n + fold_in.PATIENCE) * ALPHA0 * items.T @ items + rows.T @ rows + pull
    return np.asarray(np.linalg.solve(a, rows.T @ targets + pull @ average))


@pytest.mark.parametrize("n", [0, 1, 4, 6, 7, 30])
def test_scores_are_those_of_the_function_that_is_minimized(
    fitted: tuple[np.ndarray, np.ndarray, np.ndarray], model: FactorModel, n: int
) -> None:
    rng = np.random.default_rng(n)
    item_idx = np.sort(rng.permutation(N_RATED)[:n])
    history = History.of(item_idx, rng.integers(1, 11, n) / 2)
    items = fitted[0].astype(np.float64)
    expected = items @ _posterior(fitted, items[item_idx], graded(history.stars), n)
    found = model.item_factors @ model.user_factors(history)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_standardizing_is_over_the_items_that_took_part(model: FactorModel) -> None:
    users = np.stack([model.user_factors(History.of(items)) for items in ([1, 5, 9], [2])], axis=1)
    scores = model.item_factors[:N_RATED] @ users
    mean, deviation = model.standardize(users)
    np.testing.assert_allclose(mean, scores.mean(axis=0), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(deviation, scores.std(axis=0), rtol=1e-3)


@pytest.mark.parametrize("length", [1, 4])
def test_effects_are_the_changes_of_scores_without_an_item(
    fitted: tuple[np.ndarray, np.ndarray, np.ndarray], model: FactorModel, length: int
) -> None:
    history = History.of([1, 5, 9, 30][:length], [5, 0.5, 4, 3][:length])
    chosen = np.array([2, 17, 33], np.int32)
    effects = model.effects(history, chosen)
    items = fitted[0].astype(np.float64)
    rows, targets = items[history.item_idx], graded(history.stars)

    def scores(keep: np.ndarray) -> np.ndarray:
        everything = items[:N_RATED] @ _posterior(fitted, rows[keep], targets[keep], length)
        return np.asarray((everything[chosen] - everything.mean()) / everything.std())

    whole = scores(np.arange(length))
    for left_out in range(length):
        without = scores(np.delete(np.arange(length), left_out))
        np.testing.assert_allclose(effects[left_out], whole - without, rtol=2e-3, atol=2e-3)


def test_users_of_few_ratings_say_little_of_how_tastes_are_spread(
    fitted: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    items, users, counts = fitted
    rated = np.arange(50) < N_RATED
    strangers = np.concatenate((users, np.full((1, 6), 1000, np.float32)))
    known = FactorModel.of(items, rated, user_factors=users, counts=counts, alpha0=ALPHA0)
    joined = FactorModel.of(items, rated, user_factors=strangers, counts=np.append(counts, 0), alpha0=ALPHA0)
    np.testing.assert_allclose(known.energy, joined.energy, rtol=1e-6)


def test_a_model_of_an_earlier_release_has_the_default_targets_and_noise(model: FactorModel) -> None:
    chosen = replace(model, grades=np.linspace(0, 1, 6, dtype=np.float32), noise=0.01)
    arrays = chosen.arrays()
    again = FactorModel.from_arrays(arrays)
    history = History.of([1, 5, 9], [5, 1, 3])
    np.testing.assert_array_equal(again.user_factors(history), chosen.user_factors(history))
    earlier = FactorModel.from_arrays(
        {name: arrays[name] for name in arrays if name != "grades"} | {"scalars": arrays["scalars"][:2]}
    )
    np.testing.assert_array_equal(earlier.user_factors(history), model.user_factors(history))
    assert np.any(again.user_factors(history) != earlier.user_factors(history))
