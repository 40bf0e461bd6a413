"""An item added after training is treated like an unrated item of the training."""

from dataclasses import replace

import numpy as np
import pytest

from recommender.interactions import History
from recommender.item_features import ItemFeatures
from recommender.model.hybrid import Hybrid
from recommender.model.new_items import with_items
from recommender.training.config import Config
from recommender.training.train import train_hybrid
from tests.recommender.model.conftest import GENRES, WESTERNS, _world

BETWEEN = 2043  # an id between those of the model


def _genre_of(id_: int) -> int:
    return (int(id_) // 2 - 1000) % 4


def described(*items: tuple[int, str, str]) -> ItemFeatures:
    found = ItemFeatures.blank(np.array([item for item, _, _ in items]))
    for row, (_, genre, director) in enumerate(items):
        found.genres[row] = (genre,)
        found.directors[row] = (director,)
        found.years[row] = 2000
    return found


@pytest.fixture(scope="module")
def model() -> Hybrid:
    """A model of the items with even ids."""
    interactions, items = _world()
    even = 2 * items.item_ids
    return train_hybrid(
        replace(interactions, item_ids=even), replace(items, item_ids=even), Config(factors=16)
    )


def test_a_new_item_is_listed_only_for_users_who_like_similar_items(model: Hybrid) -> None:
    new = described((BETWEEN, "Western", "Director 3 1"), (9000, "Horror", "Director 2 1"))
    more = with_items(model, new)
    assert more.n_items == model.n_items + 2
    assert np.array_equal(np.setdiff1d(more.item_ids, model.item_ids), [BETWEEN, 9000])
    place = {int(id_): row for row, id_ in enumerate(more.item_ids)}
    ids = model.item_ids[WESTERNS.item_idx]
    history = History.of([place[int(id_)] for id_ in ids], WESTERNS.stars)
    before, after = model.scores(WESTERNS), more.scores(history)
    moved = [place[int(id_)] for id_ in model.item_ids]
    assert np.allclose(after[moved], before, atol=1e-4)  # other scores do not change
    assert model.item_step is not None
    never = model.item_step.counts == 0
    assert after[place[BETWEEN]] > after[place[9000]]
    # Among items without a rating it is one of the first.
    unrated = after[np.array(moved)[never]]
    assert (unrated > after[place[BETWEEN]]).mean() < 0.3
    reasons = more.reasons(history, np.array([place[BETWEEN]], np.int32))[0]
    assert {more.item_ids[why.item_idx] for why in reasons if why.item_idx is not None} <= set(ids)
    known = np.flatnonzero(model.item_step.counts)  # their neighbors move with them
    of_known = [
        one.predict(h, known_idx.astype(np.int32)).stars
        for one, h, known_idx in ((model, WESTERNS, known), (more, history, np.array(moved)[known]))
    ]
    assert of_known[0] == pytest.approx(of_known[1], abs=1e-4)
    predicted = more.predict(history, np.array([place[BETWEEN], place[9000]], np.int32))
    assert predicted.stars[0] > predicted.stars[1]
    assert np.isfinite(predicted.match_percent).all()


def test_it_is_as_if_it_had_been_there_without_a_rating(model: Hybrid) -> None:
    """Unrated items of the world, added as new items, keep their vectors, names and order."""
    _, items = _world()
    unrated = 2 * items.item_ids[-24:]
    known = described(*((int(id_), GENRES[_genre_of(id_)], "") for id_ in unrated))
    known.directors[:], known.years[:] = items.directors[-24:], items.years[-24:]
    again = with_items(model, known)
    assert np.array_equal(again.item_ids, model.item_ids)
    assert np.allclose(again.content_vectors, model.content_vectors, atol=1e-6)
    genres = again.traits["SHARED_GENRES"]
    assert [[genres.names[column] for column in genres.of_item(row)] for row in range(model.n_items)] == [
        [GENRES[_genre_of(id_)]] for id_ in model.item_ids
    ]
    before, after = model.scores(WESTERNS)[-24:], again.scores(WESTERNS)[-24:]
    assert np.corrcoef(before, after)[0, 1] > 0.95


def test_a_new_description_keeps_what_was_fitted_to_ratings(model: Hybrid) -> None:
    first = int(model.item_ids[3])
    changed = with_items(model, described((first, "Comedy", "Somebody else")))
    assert np.array_equal(changed.factor_model.item_factors, model.factor_model.item_factors)
    assert np.array_equal(changed.blend.item_weights.item_idx, model.blend.item_weights.item_idx)
    assert not np.allclose(changed.content_vectors[3], model.content_vectors[3])
    assert changed.traits["SHARED_GENRES"].names[changed.traits["SHARED_GENRES"].of_item(3)[0]] == "Comedy"
    assert changed.stars is not None
    assert model.stars is not None
    assert np.array_equal(changed.stars.items, model.stars.items)
