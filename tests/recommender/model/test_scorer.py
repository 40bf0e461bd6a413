"""The contract of scorers."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from recommender.interactions import History
from recommender.model.hybrid import Hybrid
from recommender.model.scorer import Scorer, aggregate_scores
from recommender.training.config import Config
from recommender.training.train import train_hybrid
from tests.recommender.model.test_hybrid import _world

HISTORIES = [History.of([]), History.of([3], 5.0), History.of([1, 5, 9, 30], 4.0)]
K = 20


@pytest.fixture(scope="module")
def trained() -> Hybrid:
    return train_hybrid(*_world(), Config(factors=8, iterations=3))


@pytest.fixture(scope="module")
def loaded(trained: Hybrid, tmp_path_factory: pytest.TempPathFactory) -> Hybrid:
    folder: Path = tmp_path_factory.mktemp("model") / "v1"
    trained.save(folder)
    return Hybrid.load(folder)


@pytest.fixture(params=["trained", "loaded"])
def scorer(request: pytest.FixtureRequest) -> Scorer:
    made: Scorer = request.getfixturevalue(request.param)
    return made


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
