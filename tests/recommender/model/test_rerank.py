import numpy as np
import pytest
from scipy import sparse

from recommender.model.content import unit
from recommender.model.nearest import Neighbors, top
from recommender.model.rerank import CAP, MEMORY, PROTECTED, SPREAD, STEEPNESS, WINDOW, mmr

Candidates = tuple[np.ndarray, np.ndarray, sparse.csr_matrix]


@pytest.fixture
def candidates() -> Candidates:
    rng = np.random.default_rng(1)
    scores = np.sort(rng.standard_normal(2 * WINDOW).astype(np.float32))[::-1].copy()
    makers = sparse.csr_matrix(np.eye(40, dtype=np.float32)[rng.integers(0, 40, 2 * WINDOW)])
    return scores, unit(rng.standard_normal((2 * WINDOW, 5)).astype(np.float32)), makers


def test_without_diversity_the_order_is_by_score(candidates: Candidates) -> None:
    assert mmr(*candidates, diversity=0, k=7).tolist() == list(range(7))


@pytest.mark.parametrize("diversity", [0.2, 1.0])
def test_the_first_of_a_long_list_are_the_short_list(candidates: Candidates, diversity: float) -> None:
    longest = mmr(*candidates, diversity=diversity, k=2 * WINDOW)
    assert sorted(longest.tolist()) == list(range(2 * WINDOW))
    for k in (1, 24, WINDOW, WINDOW + 1, 500):
        assert mmr(*candidates, diversity=diversity, k=k).tolist() == longest[:k].tolist()


def test_more_diversity_means_less_alike(candidates: Candidates) -> None:
    vectors = candidates[1]
    likeness = []
    for diversity in (0.0, 0.3, 0.9):
        picked = vectors[mmr(*candidates, diversity=diversity, k=20)]
        likeness.append(float((picked @ picked.T).mean()))
    assert likeness[0] > likeness[1] > likeness[2]


def test_each_pick_maximises_relevance_less_likeness() -> None:
    n = 40
    scores = np.arange(n, 0, -1).astype(np.float32)
    vectors = unit(np.random.default_rng(5).standard_normal((n, 3)).astype(np.float32))
    picked = mmr(scores, vectors, sparse.csr_matrix((n, 0)), diversity=0.4, k=n).tolist()
    scale = SPREAD / (vectors @ vectors.T)[np.triu_indices(n, 1)].std()
    for place, item in enumerate(picked):
        left = np.setdiff1d(np.arange(n), picked[:place])
        likeness = (vectors[left] @ vectors[picked[max(0, place - MEMORY) : place]].T).sum(axis=1)
        share = scale * 0.4 * min(1, place / PROTECTED) / max(min(place, MEMORY), 1)
        worth = -0.6 * np.sqrt(left) / STEEPNESS - share * likeness
        assert worth[left == item][0] == pytest.approx(worth.max(), abs=1e-5)


def test_no_maker_has_more_than_its_cap_in_a_row_while_there_are_others(candidates: Candidates) -> None:
    makers = candidates[2].toarray().argmax(axis=1)
    picked = makers[mmr(*candidates, diversity=0.1, k=100)]
    for start in range(100 - MEMORY):
        assert np.bincount(picked[start : start + MEMORY + 1]).max() <= CAP
    plain = makers[mmr(*candidates[:2], sparse.csr_matrix((2 * WINDOW, 0)), diversity=0.1, k=100)]
    assert max(np.bincount(plain[start : start + MEMORY]).max() for start in range(60)) > CAP
    one_maker = sparse.csr_matrix(np.ones((2 * WINDOW, 1), np.float32))
    everything = mmr(*candidates[:2], one_maker, diversity=0.1, k=2 * WINDOW)
    assert sorted(everything.tolist()) == list(range(2 * WINDOW))


@pytest.mark.parametrize("diversity", [-0.1, 1.1, float("nan")])
def test_diversity_off_the_scale_is_refused(diversity: float) -> None:
    with pytest.raises(ValueError, match="diversity"):
        mmr(
            np.ones(3, np.float32),
            np.ones((3, 2), np.float32),
            sparse.csr_matrix((3, 0)),
            diversity=diversity,
            k=2,
        )


def test_top_is_a_total_order_with_ties_by_index() -> None:
    scores = np.array([1, 3, -np.inf, 3, 2, 3, 1], np.float32)
    assert top(scores, 99).tolist() == [1, 3, 5, 4, 0, 6]
    for m in range(7):
        assert top(scores, m).tolist() == [1, 3, 5, 4, 0, 6][:m]


def test_neighbors_are_those_of_an_exact_scan() -> None:
    rng = np.random.default_rng(2)
    content, factors = (rng.standard_normal((80, width)).astype(np.float32) for width in (12, 6))
    factors[3] = 0
    joint = unit(np.concatenate([unit(content), unit(factors)], axis=1))
    allowed = rng.random(80) < 0.5
    for item in (0, 3):
        item_idx, similarity = Neighbors(content, factors).similar(item, k=10, allowed=allowed)
        cosine = np.where(allowed, joint @ joint[item], -2)
        cosine[item] = -2
        np.testing.assert_allclose(similarity, np.sort(cosine)[::-1][:10], atol=2e-3)
        np.testing.assert_allclose(cosine[item_idx], similarity, atol=2e-3)


def test_neighbors_are_all_listed_when_fewer_than_asked() -> None:
    vectors = np.eye(6, dtype=np.float32)
    allowed = np.array([1, 1, 0, 0, 1, 0], bool)
    item_idx, _ = Neighbors(vectors).similar(0, k=10, allowed=allowed)
    assert sorted(item_idx.tolist()) == [1, 4]
