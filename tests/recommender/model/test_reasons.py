"""Reasons for the items of a list."""

from collections import Counter

import numpy as np
import pytest

from recommender.interactions import History, Interactions
from recommender.item_features import ItemFeatures
from recommender.model import explain
from recommender.model.hybrid import Hybrid
from tests.recommender.model.conftest import N_RATED, N_USERS, WESTERNS

GENRE = explain.SHARED_GENRES


def test_taking_the_named_item_out_costs_more_than_taking_out_another(
    model: Hybrid, world: tuple[Interactions, ItemFeatures]
) -> None:
    rng = np.random.default_rng(5)
    more = []
    for user in range(0, N_USERS, 3):
        history = world[0].history(user)
        shown = model.recommend(history, k=5).item_idx
        whole = model.scores(history)
        for item, reasons in zip(shown.tolist(), model.reasons(history, shown, limit=1), strict=True):
            if not reasons or reasons[0].kind != explain.BECAUSE_YOU_LIKED:
                continue
            named = np.flatnonzero(history.item_idx == reasons[0].item_idx)[0]
            assert history.stars[named] >= explain.NAMED_STARS
            other = rng.choice(np.delete(np.arange(len(history)), named))
            fall = [whole[item] - model.scores(_without(history, out))[item] for out in (named, other)]
            more.append(fall[0] > fall[1])
    assert len(more) > 150
    assert np.mean(more) >= 0.95


def _without(history: History, position: int) -> History:
    keep = np.arange(len(history)) != position
    return History(history.item_idx[keep], history.stars[keep], history.timestamps[keep])


def test_shared_names_are_names_that_both_items_bear(
    model: Hybrid, world: tuple[Interactions, ItemFeatures]
) -> None:
    items = world[1]
    shown = model.recommend(WESTERNS, k=10).item_idx
    reasons_of_each = model.reasons(WESTERNS, shown, limit=3)
    kinds = set()
    for item, reasons in zip(shown.tolist(), reasons_of_each, strict=True):
        assert len(reasons) <= 3
        for reason in reasons[1:]:
            kinds.add(reason.kind)
            names = items.genres if reason.kind == explain.SHARED_GENRES else items.directors
            assert reason.item_idx in WESTERNS.item_idx
            assert reason.detail in names[item]
            assert reason.detail in names[reason.item_idx or 0]
    assert kinds == {explain.SHARED_GENRES, explain.SHARED_PEOPLE}
    assert sum(map(bool, reasons_of_each)) >= 8


@pytest.mark.parametrize("history", [WESTERNS, History.of([3], [5]), History.of([3, 7, 8, 12], [5, 4, 4, 2])])
def test_no_item_and_no_name_is_the_reason_for_more_than_a_quarter_of_a_list(
    model: Hybrid, history: History
) -> None:
    shown = model.recommend(history, k=40, diversity=0.2).item_idx
    whole = model.reasons(history, shown)
    assert sum(map(bool, whole)) >= 15
    for k in (1, 4, 7, 12, 40):
        reasons = model.reasons(history, shown[:k])
        assert k < 2 * explain.LIST_SHARE or reasons == whole[:k]
        for of in ("item_idx", "detail"):
            named = Counter(
                name for found in reasons for name in {getattr(one, of) for one in found if one.kind != GENRE}
            )
            assert max((n for name, n in named.items() if name not in (None, "")), default=0) <= max(1, k / 4)


def test_what_the_average_taste_explains_is_popular(model: Hybrid) -> None:
    """The weight of POPULAR is the share of the average taste; the other reasons share the rest."""
    shown = model.recommend(WESTERNS, k=60).item_idx
    share = explain.average_share(model.part_scores(WESTERNS), model._average, shown)
    reasons = model.reasons(WESTERNS, shown, limit=3)
    popular = [
        found[0].kind == explain.POPULAR
        for found, of in zip(reasons, share, strict=True)
        if of >= explain.MOSTLY
    ]
    assert all(popular)
    for found, of in zip(reasons, share.tolist(), strict=True):
        for one in found:
            if one.weight == 1:  # nothing but the popularity of the item
                continue
            assert one.weight <= (of if one.kind == explain.POPULAR else 1 - of) + 1e-5
    by_popularity = model.recommend(History.of([]), k=3).item_idx
    scores = model.scores(History.of([0, 1, 2, 3]))
    assert explain.average_share(scores, model._average, by_popularity).min() > 0.3


def test_reasons_name_only_liked_items(model: Hybrid) -> None:
    disliked = History.of([3, 7, 11], [1, 2, 0.5])
    for reasons in model.reasons(disliked, np.arange(20, 60, dtype=np.int32)):
        assert {reason.kind for reason in reasons} <= {explain.POPULAR}


def test_only_popular_items_have_the_reason_popular(model: Hybrid) -> None:
    reasons_of_each = model.reasons(History.of([]), np.array([0, 1, N_RATED + 2], np.int32))
    assert [[reason.kind for reason in reasons] for reasons in reasons_of_each] == [
        ["POPULAR"],
        ["POPULAR"],
        [],
    ]
    assert model.reasons(WESTERNS, np.array([4], np.int32), limit=0) == [[]]
