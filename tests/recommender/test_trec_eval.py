"""Our ranking metrics are those of NIST's trec_eval on the same lists."""

import numpy as np
import pytest
import pytrec_eval

from recommender import metrics

N_USERS, N_ITEMS, DEPTH = 60, 150, 50
KS = (1, 5, 10, 20, 50)


def test_each_users_figures_are_those_of_trec_eval() -> None:
    rng = np.random.default_rng(11)
    lists = np.array([rng.permutation(N_ITEMS)[:DEPTH] for _ in range(N_USERS)])
    relevant = [rng.permutation(N_ITEMS)[: rng.integers(1, 90)] for _ in range(N_USERS)]
    hits = np.array([np.isin(row, found) for row, found in zip(lists, relevant, strict=True)])
    n_relevant = np.array([len(found) for found in relevant])
    qrel = {f"u{u}": {f"i{i}": 1 for i in found} for u, found in enumerate(relevant)}
    run = {
        f"u{u}": {f"i{i}": float(DEPTH - rank) for rank, i in enumerate(row)} for u, row in enumerate(lists)
    }
    cuts = ",".join(str(k) for k in KS)
    measures = {f"P.{cuts}", f"recall.{cuts}", f"ndcg_cut.{cuts}", f"map_cut.{cuts}", "recip_rank"}
    theirs = pytrec_eval.RelevanceEvaluator(qrel, measures).evaluate(run)

    def of(measure: str) -> np.ndarray:
        return np.array([theirs[f"u{u}"][measure] for u in range(N_USERS)])

    for k in KS:
        np.testing.assert_allclose(metrics.precision(hits, k), of(f"P_{k}"))
        np.testing.assert_allclose(metrics.recall(hits, n_relevant, k), of(f"recall_{k}"))
        np.testing.assert_allclose(metrics.ndcg(hits, n_relevant, k), of(f"ndcg_cut_{k}"))
    np.testing.assert_allclose(metrics.reciprocal_rank(hits, DEPTH), of("recip_rank"))
    # trec_eval divides by all relevant items, ours by as many as a list of k can hold.
    for k in KS:
        capped = np.minimum(n_relevant, k)
        ours = metrics.average_precision(hits, n_relevant, k)
        assert ours == pytest.approx(of(f"map_cut_{k}") * n_relevant / capped)
