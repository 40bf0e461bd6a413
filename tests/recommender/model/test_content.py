"""Content vectors: the vector of an item does not depend on the other items."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from recommender.interactions import Interactions
from recommender.item_features import ItemFeatures
from recommender.model.content import (
    BESIDE,
    N_NUMBERS,
    OUTLYING,
    VECTOR_WIDTH,
    WIDTH,
    ContentEncoder,
    components_of,
    vectors_of,
)

STORIES = (
    ("Space Dawn", "A crew drifts between distant planets", ("space", "robot"), ("Science Fiction",)),
    ("Space Dusk", "Robots mutiny among distant planets", ("space", "robot"), ("Science Fiction",)),
    ("The Quiet Farm", "A widow inherits her brother's farm", ("farm", "grief"), ("Drama",)),
    ("The Loud Farm", "Brothers quarrel over a farm", ("farm", "family"), ("Drama",)),
    ("Laughing Matters", "A comedian marries her rival", ("wedding",), ("Comedy", "Romance")),
    ("Wedding Bells", "Rivals plan one wedding", ("wedding", "family"), ("Comedy", "Romance")),
)


@pytest.fixture
def items() -> ItemFeatures:
    blank = ItemFeatures.blank(np.arange(1, len(STORIES) + 2))
    titles, overviews, keywords, genres = (list(column) for column in zip(*STORIES, strict=True))
    years = np.array([1999, 2003, 1951, 1955, 2010, 2012, 0], np.int16)
    return replace(
        blank,
        titles=[*titles, ""],
        overviews=[*overviews, ""],
        keywords=[*keywords, ()],
        genres=[*genres, ()],
        years=years,
    )


def _encoder(items: ItemFeatures, width: int = WIDTH) -> ContentEncoder:
    return ContentEncoder.fit(items, width=width, rng=np.random.default_rng(0))


def _lengths(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.linalg.norm(vectors, axis=1))


def test_content_has_a_fixed_width_and_but_for_its_numbers_length_one(items: ItemFeatures) -> None:
    content = _encoder(items).transform(items)
    assert content.shape == (7, WIDTH + N_NUMBERS)
    assert content.dtype == np.float32
    for vectors, width in ((components_of(content), WIDTH), (vectors_of(content), VECTOR_WIDTH)):
        assert vectors.shape == (7, width)
        assert _lengths(vectors[:6]) == pytest.approx(1, abs=1e-6)


def test_numbers_are_separate_from_components(items: ItemFeatures) -> None:
    voted = replace(items, vote_count=np.array([1e6, 100, 50, 20, np.nan, 10, np.nan], np.float32))
    encoder = _encoder(voted)
    votes = encoder.transform(voted)[:, -1]
    assert np.argsort(-votes[:4]).tolist() == [0, 1, 2, 3]
    assert votes[4] == votes[6] == 0  # unknown
    beyond = replace(voted.take(np.array([0])), vote_count=np.array([1e30], np.float32))
    assert encoder.transform(beyond)[0, -1] == pytest.approx(BESIDE * OUTLYING)


def test_a_item_of_which_nothing_is_known_is_a_zero(items: ItemFeatures) -> None:
    assert not _encoder(items).transform(items)[6].any()


def test_items_of_a_kind_are_near_each_other(items: ItemFeatures) -> None:
    vectors = vectors_of(_encoder(items).transform(items))
    nearest = np.argsort(-(vectors[:6] @ vectors[:6].T - 2 * np.eye(6)), axis=1)[:, 0]
    assert nearest.tolist() == [1, 0, 3, 2, 5, 4]


def test_a_item_has_one_vector_alone_and_among_others(items: ItemFeatures) -> None:
    encoder = _encoder(items)
    together = encoder.transform(items)
    for row in range(len(items)):
        assert np.array_equal(encoder.transform(items.take(np.array([row])))[0], together[row])


def test_a_new_item_with_unseen_words_lies_near_its_kind(items: ItemFeatures) -> None:
    new = replace(
        ItemFeatures.blank(np.array([99])),
        titles=["Zorblax"],
        keywords=[("space", "unheard")],
        genres=[("Science Fiction", "Unheard")],
    )
    encoder = _encoder(items)
    assert np.argmax(encoder.transform(items) @ encoder.transform(new)[0]) in (0, 1)


def test_the_state_survives_arrays(items: ItemFeatures) -> None:
    encoder = _encoder(items)
    arrays = encoder.arrays()
    assert all(array.dtype != object for array in arrays.values())
    restored = ContentEncoder.from_arrays(arrays)
    assert restored.vocabulary == encoder.vocabulary
    assert np.array_equal(restored.transform(items), encoder.transform(items))


def test_a_fit_can_be_repeated(items: ItemFeatures) -> None:
    assert np.array_equal(_encoder(items).components, _encoder(items).components)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_tiny_catalogues_have_vectors_of_full_width(items: ItemFeatures, n: int) -> None:
    few = items.take(np.arange(n))
    encoder = _encoder(few)
    assert encoder.transform(few).shape == (n, WIDTH + N_NUMBERS)
    assert ContentEncoder.from_arrays(encoder.arrays()).transform(items).shape == (7, WIDTH + N_NUMBERS)


def test_columns_of_different_length_are_refused(items: ItemFeatures) -> None:
    with pytest.raises(AssertionError, match="titles"):
        replace(items, titles=["one"])


def test_sequels_are_neighbors_in_movielens(
    latest_small: tuple[Interactions, ItemFeatures], latest_small_content: NDArray[np.float32]
) -> None:
    items, vectors = latest_small[1], vectors_of(latest_small_content)
    pairs = [("Toy Story", "Toy Story 2"), ("Godfather, The", "Godfather: Part II, The")]
    for one, other in pairs:
        near = np.argsort(-(vectors @ vectors[items.titles.index(one)]))[1:4]
        assert items.titles.index(other) in near
