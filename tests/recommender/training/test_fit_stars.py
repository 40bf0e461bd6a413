"""Stars, intervals and match percents on simulated users with known mean stars."""

import subprocess
import sys
from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from recommender.interactions import History, Interactions
from recommender.model.match import N_FEATURES, MatchModel, predict
from recommender.model.star_ratings import StarsModel
from recommender.training.fit_match import HeldOut, fit_match, fit_stars_and_match, uncalibrated
from recommender.training.fit_stars import fit_stars

N_USERS, N_ITEMS, UNRATED, BLANK = 300, 80, 78, 79
NOISE = 0.4


@dataclass(frozen=True)
class World:
    """Users with known mean stars for every item; item 78 has content only, item 79 has neither."""

    truth: NDArray[np.float64]  # (N_USERS, N_ITEMS), stars
    interactions: Interactions
    content: NDArray[np.float32]


@pytest.fixture(scope="module")
def world() -> World:
    rng = np.random.default_rng(0)
    content = rng.standard_normal((N_ITEMS, 6))
    content /= np.linalg.norm(content, axis=1, keepdims=True)
    items = np.concatenate([content @ rng.standard_normal((6, 3)), np.ones((N_ITEMS, 1))], axis=1)
    users = rng.standard_normal((N_USERS, 4)) * [0.4, 0.4, 0.4, 0.5]
    truth = 3.3 + 0.5 * items[:, 0] + users @ items.T
    content[BLANK] = 0
    user_idx, item_idx = np.nonzero(rng.random(truth.shape) < 0.4)
    seen = item_idx < UNRATED
    user_idx, item_idx = user_idx[seen], item_idx[seen]
    drawn = truth[user_idx, item_idx] + NOISE * rng.standard_normal(len(user_idx))
    stars = np.clip(np.round(2 * drawn) / 2, 0.5, 5)
    interactions = Interactions.from_arrays(user_idx, item_idx, stars, catalog=np.arange(N_ITEMS))
    return World(truth, interactions, content.astype(np.float32))


@pytest.fixture(scope="module")
def fitted(world: World) -> tuple[StarsModel, MatchModel, dict[str, float]]:
    return fit_stars_and_match(world.interactions, world.content, rng=np.random.default_rng(1), factors=4)


def _prediction_error(world: World, model: StarsModel, items: slice) -> float:
    item_idx = np.arange(N_ITEMS)[items]
    errors = []
    for user in range(N_USERS):
        stars, _ = model.predict(model.fold_in(world.interactions.history(user)), item_idx)
        errors.append(stars - world.truth[user, items])
    return float(np.sqrt(np.mean(np.square(errors))))


def test_stars_find_the_tastes_behind_noisy_ratings(world: World) -> None:
    model = fit_stars(world.interactions, world.content, factors=4, rng=np.random.default_rng(1))
    assert _prediction_error(world, model, slice(0, UNRATED)) < 0.25  # the ratings' own noise is above .4


def test_random_raters_weigh_less_in_the_fit_of_items(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    known, n_items = 100, 300
    users, items = np.nonzero(rng.random((2 * known, n_items)) < 0.5)
    truth = 3.3 + 0.4 * rng.standard_normal(n_items)
    drawn = truth[items] + NOISE * rng.standard_normal(len(items))
    stars = np.where(users < known, np.round(2 * drawn) / 2, rng.integers(1, 11, len(items)) / 2)
    half_of_dice = Interactions.from_arrays(users, items, np.clip(stars, 0.5, 5), catalog=np.arange(n_items))

    def error() -> float:
        blank = np.zeros((n_items, 1), np.float32)
        model = fit_stars(half_of_dice, blank, factors=2, iterations=10, rng=np.random.default_rng(1))
        predicted = [
            model.predict(model.fold_in(half_of_dice.history(user)), np.arange(n_items))[0]
            for user in range(known)
        ]
        return float(np.sqrt(np.mean((np.array(predicted) - truth) ** 2)))

    fitted = error()
    monkeypatch.setattr("recommender.training.fit_stars.NOISE_RATINGS", 1e9)  # equal noise of all users
    assert fitted < 0.8 * error()


@pytest.mark.parametrize("bent", [0.0, 0.5, -2.0])
def test_match_percent_rises_with_the_predicted_stars_however_it_bends(world: World, bent: float) -> None:
    rng = np.random.default_rng(3)
    features = np.zeros((4_000, N_FEATURES))
    features[:, 0] = distance = rng.standard_normal(4_000)
    liked = rng.random(4_000) < expit(distance + bent * distance**2)
    match = fit_match(uncalibrated(world.interactions, world.content), features, liked)
    grid = np.zeros((50, N_FEATURES))
    grid[:, 0] = np.linspace(-5, 5, 50)
    assert (np.diff(match.probability(grid)) > 0).all()


def test_an_unrated_item_is_predicted_by_its_content(world: World) -> None:
    model = fit_stars(world.interactions, world.content, factors=4, rng=np.random.default_rng(1))
    spread = world.truth[:, UNRATED].std()
    assert _prediction_error(world, model, slice(UNRATED, UNRATED + 1)) < 0.6 * spread
    rows, variance = model.prior(world.content[[UNRATED]])
    assert rows[0] == pytest.approx(model.items[UNRATED], abs=1e-5)
    assert variance[0] == pytest.approx(model.item_variance[UNRATED], rel=1e-5)


def test_a_item_of_which_nothing_is_known_has_no_stars(
    world: World, fitted: tuple[StarsModel, MatchModel, dict[str, float]]
) -> None:
    predicted = predict(*fitted[:2], world.interactions.history(0), np.array([0, BLANK]))
    for column in (predicted.stars, predicted.low, predicted.high, predicted.match_percent):
        assert np.isfinite(column).tolist() == [True, False]


def test_everything_shown_lies_on_its_scale(
    world: World, fitted: tuple[StarsModel, MatchModel, dict[str, float]]
) -> None:
    for stars in (0.5, 5.0):
        history = History.of(np.arange(40), stars)
        shown = predict(*fitted[:2], history, np.arange(BLANK))
        assert (shown.low >= 0.5).all()
        assert (shown.low <= shown.stars).all()
        assert (shown.stars <= shown.high).all()
        assert (shown.high <= 5).all()
        assert ((shown.match_percent >= 0) & (shown.match_percent <= 100)).all()
    assert world.content.shape[0] == N_ITEMS


def test_ratings_make_surer_and_a_good_one_raises_its_neighbors(
    fitted: tuple[StarsModel, MatchModel, dict[str, float]],
) -> None:
    model = fitted[0]
    item_idx = np.arange(UNRATED)
    nothing = model.predict(model.fold_in(History.of([], [])), item_idx)
    known = model.predict(model.fold_in(History.of(np.arange(30), 3.5)), item_idx)
    assert (known[1] < nothing[1]).all()
    liked = model.predict(model.fold_in(History.of([3], 5.0)), item_idx)[0]
    disliked = model.predict(model.fold_in(History.of([3], 0.5)), item_idx)[0]
    assert liked[3] > nothing[0][3] > disliked[3]


def test_the_interval_holds_eight_in_ten_and_the_match_is_a_probability(
    fitted: tuple[StarsModel, MatchModel, dict[str, float]],
) -> None:
    figures = fitted[2]
    assert figures["interval_coverage"] == pytest.approx(0.8, abs=0.04)
    assert figures["match_calibration_error"] < 0.06  # about 950 held-out ratings: chance alone gives .04
    assert figures["match_auc"] > 0.85


def test_the_width_is_the_quantile_of_held_out_errors() -> None:
    n = 10
    held = HeldOut(np.zeros((n, 8)), np.ones(n, bool), np.arange(-5, 5) / 10, np.full(n, 0.5), np.arange(n))
    assert held.width() == pytest.approx(0.8)  # .4 / .5: eight of ten errors are within .4


@pytest.mark.parametrize("n_rated", [1, 30])
def test_who_has_rated_more_or_less_than_all_others_gets_no_certainty_for_it(n_rated: int) -> None:
    rng = np.random.default_rng(3)
    items = np.concatenate([rng.permutation(40)[:12] for _ in range(200)])
    stars = rng.normal(3.3, 0.6, 40)[items] + rng.normal(0, 0.7, items.size)
    stars = (np.rint(2 * stars) / 2).clip(0.5, 5).astype(np.float32)
    ratings = Interactions.from_arrays(np.repeat(np.arange(200), 12), items, stars)
    models = fit_stars_and_match(ratings, np.zeros((40, 8), np.float32), rng=np.random.default_rng(0))[:2]
    history = History.of(np.arange(n_rated), 3.0)
    match = predict(*models, history, np.arange(30, 40)).match_percent
    assert 10 < match.mean() < 80


def test_a_fit_can_be_repeated_to_the_last_bit(world: World) -> None:
    one, other = (
        fit_stars(world.interactions, world.content, factors=4, iterations=3, rng=np.random.default_rng(5))
        for _ in range(2)
    )
    assert np.array_equal(one.items, other.items)


def test_the_state_survives_arrays(
    world: World, fitted: tuple[StarsModel, MatchModel, dict[str, float]]
) -> None:
    stars, match = StarsModel.from_arrays(fitted[0].arrays()), MatchModel.from_arrays(fitted[1].arrays())
    history, item_idx = world.interactions.history(3), np.arange(N_ITEMS)
    before, after = predict(*fitted[:2], history, item_idx), predict(stars, match, history, item_idx)
    assert np.array_equal(before.match_percent, after.match_percent, equal_nan=True)
    assert np.array_equal(before.low, after.low, equal_nan=True)


def test_the_residuals_of_similar_items_move_a_prediction() -> None:
    """Two pairs of items: within a pair, the ratings of a user have the same error."""
    rng = np.random.default_rng(4)
    n_users, n_items = 400, 40
    ratings = 3 + 0.8 * rng.standard_normal((n_users, n_items))
    ratings[:, 1], ratings[:, 3] = ratings[:, 0], ratings[:, 2]
    stars = np.clip(np.round(2 * ratings) / 2, 0.5, 5)
    users, items = np.nonzero(rng.random(stars.shape) < 0.7)
    known = Interactions.from_arrays(users, items, stars[users, items], catalog=np.arange(n_items))
    blank = np.zeros((n_items, 1), np.float32)
    model, _, _ = fit_stars_and_match(known, blank, rng=np.random.default_rng(1), factors=1, iterations=8)
    assert model.neighbor_weight > 0
    assert model.neighbors[:4, 0].tolist() == [1, 0, 3, 2]
    high, low = (
        model.predict(model.fold_in(History.of([0, 2, 7, 8], [mine, 3, 3, 3])), np.array([1, 3, 9]))[0]
        for mine in (5.0, 1.0)
    )
    assert high[0] - low[0] > 3 * max(high[1] - low[1], high[2] - low[2])
    before = StarsModel.from_arrays(
        {
            name: array[:3] if name == "scalars" else array
            for name, array in model.arrays().items()
            if name not in ("neighbors", "similarity")
        }
    )  # of an earlier release
    history = History.of([0, 2], [5, 3])
    assert before.predict(before.fold_in(history), np.array([9]))[0] == pytest.approx(
        replace(model, neighbor_weight=0.0).predict(model.fold_in(history), np.array([9]))[0]
    )


def test_a_match_model_of_an_earlier_release_expects_means_of_new_items(
    world: World, fitted: tuple[StarsModel, MatchModel, dict[str, float]]
) -> None:
    arrays = fitted[1].arrays()
    del arrays["statistics_map"]
    expected = MatchModel.from_arrays(arrays).expected_statistics(world.content[:2])
    assert expected == pytest.approx(np.tile([0, fitted[1].mean, fitted[1].liked_share], (2, 1)))


def test_a_single_rating_is_enough_to_fit_and_none_is_refused(world: World) -> None:
    alone = Interactions.from_arrays([1], [3], [4.0], catalog=np.arange(N_ITEMS))
    stars, match, figures = fit_stars_and_match(alone, world.content, rng=np.random.default_rng(0))
    predicted = predict(stars, match, History.of([], []), np.array([3]))
    assert predicted.stars[0] == pytest.approx(4, abs=0.2)
    assert np.isnan(figures["match_auc"])
    nothing = Interactions.from_arrays([], [], [], catalog=np.arange(N_ITEMS))
    with pytest.raises(ValueError, match="at least one rating"):
        fit_stars(nothing, world.content, rng=np.random.default_rng(0))


def test_serving_loads_neither_numba_nor_scikit_learn() -> None:
    code = (
        "import sys, recommender.model.match, recommender.model.content, recommender.evaluation.ranking; "
        "sys.exit(bool({'numba', 'sklearn'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
