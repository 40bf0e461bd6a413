"""Metrics against examples worked by hand, and against scikit-learn where the definitions agree."""

import numpy as np
import pytest
from sklearn.metrics import ndcg_score, roc_auc_score

from recommender import metrics

# Two lists of five: the first hits at ranks 1 and 3 of three relevant items, the second at rank 4 of one.
HITS = np.array([[True, False, True, False, False], [False, False, False, True, False]])
N_RELEVANT = np.array([3, 1])


def test_precision_counts_hits_over_k() -> None:
    assert metrics.precision(HITS, 5).tolist() == [2 / 5, 1 / 5]
    assert metrics.precision(HITS, 2).tolist() == [1 / 2, 0]


def test_precision_does_not_excuse_a_short_list() -> None:
    assert metrics.precision(HITS[:, :1], 5).tolist() == [1 / 5, 0]


def test_recall_is_over_all_relevant_items_unless_capped() -> None:
    assert metrics.recall(HITS, N_RELEVANT, 5).tolist() == [2 / 3, 1]
    assert metrics.recall(HITS, N_RELEVANT, 2).tolist() == [1 / 3, 0]
    assert metrics.recall(HITS, N_RELEVANT, 2, capped=True).tolist() == [1 / 2, 0]


def test_ndcg_by_hand() -> None:
    # 1/log2(2) + 1/log2(4) = 1.5 gained of 1 + 1/log2(3) + 1/2 = 2.130930; 1/log2(5) = .430677 of 1.
    assert metrics.ndcg(HITS, N_RELEVANT, 5) == pytest.approx([1.5 / 2.1309297536, 0.4306765581])
    # Among the first two, three relevant items could only fill both places: 1 of 1.630930.
    assert metrics.ndcg(HITS, N_RELEVANT, 2) == pytest.approx([1 / 1.6309297536, 0])


def test_ndcg_of_a_list_shorter_than_k_keeps_the_full_ideal() -> None:
    assert metrics.ndcg(HITS[:, :1], N_RELEVANT, 5) == pytest.approx([1 / 2.1309297536, 0])


def test_ndcg_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    for k in (1, 5, 20, 60):
        relevant = rng.random((30, 40)) < 0.2
        relevant[:, 0] = True
        score = rng.random((30, 40))
        hits = np.take_along_axis(relevant, np.argsort(-score, axis=1), axis=1)
        ours = metrics.ndcg(hits, relevant.sum(axis=1), k).mean()
        assert ours == pytest.approx(ndcg_score(relevant.astype(float), score, k=k))


def test_reciprocal_rank_and_average_precision_by_hand() -> None:
    assert metrics.reciprocal_rank(HITS, 5).tolist() == [1, 1 / 4]
    assert metrics.reciprocal_rank(HITS, 3).tolist() == [1, 0]
    # Precision 1 at rank 1 and 2/3 at rank 3, over three relevant items.
    assert metrics.average_precision(HITS, N_RELEVANT, 5) == pytest.approx([(1 + 2 / 3) / 3, 1 / 4])


def test_diversity_is_the_mean_distance_of_pairs() -> None:
    vectors = np.array([[1, 0], [0, 1], [1, 0], [0.6, 0.8]], np.float32)
    assert metrics.intra_list_diversity(np.array([0, 2]), vectors) == pytest.approx(0)
    assert metrics.intra_list_diversity(np.array([0, 1]), vectors) == pytest.approx(1)
    # Cosines 0, .6 and .8: 1 - 1.4/3.
    assert metrics.intra_list_diversity(np.array([0, 1, 3]), vectors) == pytest.approx(1 - 1.4 / 3)
    assert np.isnan(metrics.intra_list_diversity(np.array([0]), vectors))


def test_novelty_is_in_bits() -> None:
    assert metrics.novelty(np.array([0, 1]), np.array([0.5, 0.125])) == pytest.approx((1 + 3) / 2)


def test_coverage_gini_and_popularity_share_by_hand() -> None:
    exposure = np.array([6, 2, 0, 0])
    assert metrics.coverage(exposure) == 0.5
    # Sorted 0 0 2 6, weights -3 -1 1 3: 20 of 4 * 8.
    assert metrics.gini(exposure) == pytest.approx(20 / 32)
    assert metrics.gini(np.array([3, 3, 3])) == pytest.approx(0)
    assert metrics.popularity_share(exposure, np.array([1, 9, 5, 0]), head=0.5) == pytest.approx(2 / 8)


def test_rank_correlation_by_hand() -> None:
    assert metrics.rank_correlation(np.array([90.0, 80, 70])) == pytest.approx(1)
    # Places -0 -1 -2 and ranks 1 3 2: deviations 1 0 -1 and -1 1 0.
    assert metrics.rank_correlation(np.array([50.0, 90, 80])) == pytest.approx(-0.5)
    assert np.isnan(metrics.rank_correlation(np.array([50.0, 50])))


def test_rmse_by_hand() -> None:
    assert metrics.rmse(np.array([4.0, 3.0]), np.array([3.0, 1.0])) == pytest.approx(np.sqrt(2.5))


def test_calibration_error_by_hand() -> None:
    happened = np.array([False, True, True, True])
    probability = np.array([0.1, 0.3, 0.9, 0.7])
    # Bins {.1, .3} and {.7, .9}: |.5 - .2| and |1 - .8|, half each.
    assert metrics.calibration_error(happened, probability, n_bins=2) == pytest.approx(0.25)


def test_auc_agrees_with_scikit_learn_ties_included() -> None:
    rng = np.random.default_rng(1)
    happened, score = rng.random(500) < 0.3, rng.integers(0, 20, 500) / 20
    assert metrics.auc(happened, score) == pytest.approx(roc_auc_score(happened, score))


def test_bootstrap_interval_has_the_width_of_the_standard_error() -> None:
    rng = np.random.default_rng(2)
    values = np.append(rng.normal(0.3, 0.1, 400), np.nan)
    estimate = metrics.bootstrap(values, rng)
    assert estimate.value == pytest.approx(np.nanmean(values))
    expected = 2 * 1.96 * np.nanstd(values) / np.sqrt(400)
    assert estimate.high - estimate.low == pytest.approx(expected, rel=0.15)


def test_a_paired_difference_is_significant_where_intervals_overlap() -> None:
    rng = np.random.default_rng(3)
    theirs = rng.random(200)
    ours = theirs + rng.normal(0.02, 0.02, 200)
    one, other = metrics.bootstrap(ours, rng), metrics.bootstrap(theirs, rng)
    assert one.low < other.high
    assert metrics.bootstrap(ours - theirs, rng).low > 0
