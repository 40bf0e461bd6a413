"""The gate refuses a candidate that is worse, and only such a one."""

from dataclasses import replace
from itertools import count
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from recommender import splits
from recommender.evaluation.gate import judge
from recommender.interactions import History, Interactions
from recommender.splits import Split

N_ITEMS, N_USERS = 60, 120


class Model:
    """Lists the items of the parity that the history likes, with a share of lists that are reversed."""

    def __init__(self, item_ids: np.ndarray, wrong: float = 0.0, narrow: bool = False) -> None:
        self.item_ids, self.wrong, self.narrow = item_ids, wrong, narrow
        self.rng = np.random.default_rng(1)

    def recommend(self, history: History, *, k: int, allowed: np.ndarray) -> Any:
        scores = np.random.default_rng(history.item_idx.sum()).random(self.item_ids.size)
        if self.narrow:
            scores = -np.arange(self.item_ids.size, dtype=np.float64)
        wanted = self.item_ids[history.item_idx[history.stars >= 4]] % 2
        parity = 1 - wanted[0] if self.rng.random() < self.wrong else wanted[0]
        scores += 100 * (self.item_ids % 2 == parity)
        scores[history.item_idx] = scores[~allowed] = -np.inf
        return SimpleNamespace(item_idx=np.argsort(-scores)[:k].astype(np.int32))


@pytest.fixture(scope="module")
def split() -> Split:
    """Members like odd or even items."""
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(N_USERS), 30)
    items = np.concatenate([rng.permutation(N_ITEMS)[:30] for _ in range(N_USERS)])
    stars = np.where(users % 2 == items % 2, 5.0, 2.0)
    ratings = Interactions.from_arrays(users, items, stars, rng.integers(1, 10**6, users.size))
    return splits.temporal_per_user(ratings, rng=rng)


def model(**how: Any) -> Any:
    return Model(np.arange(N_ITEMS), **how)


def test_a_worse_candidate_is_refused_with_the_figures(split: Split) -> None:
    verdict = judge(split, model(wrong=0.5), model())
    assert not verdict.passed
    assert verdict.difference is not None
    assert verdict.difference.high < 0
    assert verdict.reason is not None
    assert verdict.reason.startswith("its NDCG@10 is lower by 0.")


def test_an_equal_or_better_candidate_passes(split: Split) -> None:
    assert judge(split, model(), model()).passed
    assert judge(split, model(), model(wrong=0.5)).passed


def test_lists_of_few_items_are_refused(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    """With lists of ten among sixty items, even the narrow ones cover seven tenths of the catalog."""
    assert judge(split, model(narrow=True), model()).passed
    monkeypatch.setattr("recommender.evaluation.gate.LEAST_COVERAGE", 0.9)
    verdict = judge(split, model(narrow=True), model())
    assert not verdict.passed
    assert "of the catalog" in str(verdict.reason)


def test_slow_lists_are_refused(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each reading of the clock is later, by more in the lists of the candidate, which come first."""
    steps = count()
    monkeypatch.setattr(
        "recommender.evaluation.gate.time.perf_counter",
        lambda: (n := next(steps)) * (0.2 if n < 240 else 1e-4),
    )
    verdict = judge(split, model(), model())
    assert not verdict.passed
    assert "a list takes 200 ms" in str(verdict.reason)


def test_a_model_of_another_catalog_is_compared_by_ids(split: Split) -> None:
    """The active model lacks the last items, and has one that was deleted."""
    other = Model(np.append(np.arange(N_ITEMS - 4), 999))
    verdict = judge(split, model(), other)  # type: ignore[arg-type]
    assert verdict.passed
    assert verdict.active is not None
    assert verdict.active.ndcg > 0.1


def test_too_few_likes_are_no_comparison(split: Split) -> None:
    few = replace(split, held_out=split.held_out.with_ratings(np.arange(split.held_out.nnz) < 20))
    verdict = judge(few, model(wrong=1.0), model())
    assert verdict.passed
    assert verdict.difference is None
    assert "nothing was compared" in str(verdict.reason)
