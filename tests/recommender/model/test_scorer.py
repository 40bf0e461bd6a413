"""The contract of scorers."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from recommender.interactions import History, Interactions
from recommender.item_features import ItemFeatures
from recommender.model import explain
from recommender.model.batch import recommend_all
from recommender.model.hybrid import HYBRID, Hybrid
from recommender.model.scorer import Scorer, aggregate_scores
from recommender.scorers.arm import with_items
from recommender.scorers.autoencoder import Autoencoder
from recommender.scorers.kinds import KINDS, TorchMissing, UnknownKind, load
from recommender.scorers.likes import likes
from recommender.scorers.popularity import Popularity
from recommender.training.config import Config
from recommender.training.fit_part import FITS
from recommender.training.train_arm import shared, train_model, with_part
from tests.recommender.model.conftest import _world

HISTORIES = [History.of([]), History.of([3], 5.0), History.of([1, 5, 9, 30], 4.0)]
K = 20


def random_autoencoder(train: Interactions, _content: np.ndarray) -> Autoencoder:
    """What PyTorch would fit, without PyTorch: each item's code is its column of likes, made narrow."""
    rng = np.random.default_rng(0)
    codes = (likes(train).T @ rng.normal(size=(train.n_users, 64)) / 10).astype(np.float32)
    return Autoencoder(codes, np.zeros(64, np.float32), codes, np.zeros(train.n_items, np.float32))


@pytest.fixture(scope="module")
def of_arms() -> Hybrid:
    """What all arms share."""
    return shared(*_world())


@pytest.fixture(scope="module", params=KINDS)
def trained(request: pytest.FixtureRequest, of_arms: Hybrid) -> Hybrid:
    interactions, items = _world()
    if request.param == HYBRID:
        return train_model(HYBRID, interactions, items, Config(factors=8, iterations=3))
    with pytest.MonkeyPatch.context() as patch:
        if find_spec("torch") is None:
            patch.setitem(FITS, Autoencoder.kind, random_autoencoder)
        return with_part(request.param, of_arms, interactions)


@pytest.fixture(scope="module")
def loaded(trained: Hybrid, tmp_path_factory: pytest.TempPathFactory) -> Hybrid:
    folder: Path = tmp_path_factory.mktemp("model") / "v1"
    trained.save(folder)
    return load(folder)


@pytest.fixture(params=["trained", "loaded"])
def scorer(request: pytest.FixtureRequest, trained: Hybrid, loaded: Hybrid) -> Scorer:
    return trained if request.param == "trained" else loaded


def ranked(
    scorer: Scorer,
    history: History,
    k: int = K,
    allowed: np.ndarray | None = None,
    diversity: float = 0.0,
) -> np.ndarray:
    ranking = scorer.ranked(scorer.scores(history), history, k=k, allowed=allowed, diversity=diversity)
    return ranking.item_idx


@pytest.mark.parametrize("history", HISTORIES, ids=len)
def test_scores_are_finite_and_one_an_item(scorer: Scorer, history: History) -> None:
    scores = scorer.scores(history)
    assert scores.dtype == np.float32
    assert scores.shape == (scorer.n_items,)
    assert np.isfinite(scores).all()
    assert scorer.item_ids.dtype == np.int64
    assert (np.diff(scorer.item_ids) > 0).all()


@pytest.mark.parametrize("history", HISTORIES, ids=len)
def test_scores_belong_to_the_caller_and_repeat(scorer: Scorer, history: History) -> None:
    first = scorer.scores(history)
    kept = first.copy()
    first[:] = 0
    np.testing.assert_array_equal(scorer.scores(history), kept)


@pytest.mark.parametrize("history", HISTORIES, ids=len)
@pytest.mark.parametrize("diversity", [0.0, 0.4])
def test_a_ranking_is_full_and_leaves_the_history_out(
    scorer: Scorer, history: History, diversity: float
) -> None:
    found = ranked(scorer, history, diversity=diversity)
    assert found.dtype == np.int32
    assert len(set(found.tolist())) == K
    assert not set(found.tolist()) & set(history.item_idx.tolist())
    np.testing.assert_array_equal(ranked(scorer, history, k=5, diversity=diversity), found[:5])


def test_only_allowed_items_are_ranked(scorer: Scorer) -> None:
    allowed = np.zeros(scorer.n_items, np.bool_)
    allowed[[2, 3, 7]] = True
    assert set(ranked(scorer, History.of([3]), allowed=allowed).tolist()) == {2, 7}


def test_threads_share_it(scorer: Scorer) -> None:
    alone = [scorer.scores(history) for history in HISTORIES * 8]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(scorer.scores, HISTORIES * 8))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_group_list_is_neither_the_majoritys_nor_a_veto() -> None:
    # columns: loved by two and hated by the third; liked by all; neutral for all
    scores = np.array([[3.0, 1.5, 0.5], [3.0, 1.5, 0.5], [-2.0, 1.0, 0.6]], np.float32)
    assert aggregate_scores(scores).argmax() == 1
    assert aggregate_scores(scores, misery=0.0).tolist() == pytest.approx(scores.mean(axis=0).tolist())
    assert aggregate_scores(scores, misery=1.0).tolist() == pytest.approx(scores.min(axis=0).tolist())
    assert aggregate_scores(scores[:1]).tolist() == pytest.approx(scores[0].tolist())
    with pytest.raises(ValueError, match="at least one"):
        aggregate_scores(np.empty((0, 3), np.float32))


def test_the_list_follows_the_taste_of_an_unseen_user(trained: Hybrid) -> None:
    """The users of the checkerboard like one genre of four: item i has genre i % 4."""
    rated = np.arange(40)
    for genre in range(4):
        found = ranked(trained, History.of(rated, np.where(rated % 4 == genre, 4.5, 2.0)), k=10)
        if trained.kind == Popularity.kind:
            assert found.max() < 80  # the low numbers of each genre are the popular ones
        else:
            assert (found % 4 == genre).mean() >= 0.5


def test_a_loaded_model_is_the_trained_one(trained: Hybrid, loaded: Hybrid) -> None:
    assert loaded.kind == trained.kind
    for history in HISTORIES:
        np.testing.assert_array_equal(loaded.scores(history), trained.scores(history))
        items = ranked(trained, history)
        assert loaded.reasons(history, items) == trained.reasons(history, items)


def test_batch_lists_are_the_lists_of_requests(trained: Hybrid) -> None:
    for ranking, history in zip(recommend_all(trained, HISTORIES, k=5), HISTORIES, strict=True):
        np.testing.assert_allclose(ranking.scores, trained.recommend(history, k=5).scores, rtol=1e-4)


def test_a_reason_names_an_item_without_which_the_score_is_lower(trained: Hybrid) -> None:
    history = History.of([1, 5, 9, 30], [5, 4.5, 4, 1])
    items = ranked(trained, history)
    for item, reasons in zip(items.tolist(), trained.reasons(history, items), strict=True):
        named = {reason.item_idx for reason in reasons if reason.kind == explain.BECAUSE_YOU_LIKED}
        assert not named or trained.kind != Popularity.kind
        for subject in named:
            assert subject in (1, 5, 9)
            if trained.kind != HYBRID:  # its own test allows for the length of the history
                raw = trained.part.scores  # type: ignore[attr-defined] # of an arm
                assert raw(history.without(subject))[item] < raw(history)[item]


def test_new_items_take_part_and_change_nothing_else(trained: Hybrid) -> None:
    features = ItemFeatures.blank(np.array([999, 1007, 5000]))  # before, an edited one, and after
    features.genres[:] = [("Drama",)] * 3
    longer = with_items(trained, features)
    history = History.of([1, 5, 9], 4.5)
    moved = replace(history, item_idx=history.item_idx + 1)
    assert longer.n_items == trained.n_items + 2
    assert longer.scores(moved).shape == (longer.n_items,)
    before = trained.item_ids[ranked(trained, history, k=10)]
    after = longer.item_ids[ranked(longer, moved, k=13)]
    unchanged = before[before != 1007]
    assert [id_ for id_ in after.tolist() if id_ in unchanged] == unchanged.tolist()
    longer.check()


def test_each_name_is_that_of_a_fit() -> None:
    assert (HYBRID, *FITS) == KINDS


@pytest.mark.skipif(find_spec("torch") is not None, reason="PyTorch is installed")
def test_an_autoencoder_without_pytorch_is_refused_before_anything_is_fitted() -> None:
    def progress(stage: str, _fraction: float) -> None:
        raise AssertionError(stage)

    with pytest.raises(TorchMissing, match=r"pip install 'torch"):
        train_model(Autoencoder.kind, *_world(), progress=progress)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UnknownKind, match="the models are hybrid, user-knn"):
        train_model("oracle", *_world())
