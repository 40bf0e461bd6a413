"""Corrections of a list by the content of what a member liked and disliked."""

import numpy as np

from recommender.content_taste import FADING, LONGEST, corrections
from recommender.interactions import History

# Items 0 to 9 have one subject, 10 to 19 another, 20 to 29 both, 30 to 39 no content.
CONTENT = np.zeros((40, 3), np.float32)
CONTENT[:10, 0], CONTENT[10:20, 1], CONTENT[20:30, :2] = 1, 1, 0.5**0.5
LISTED = np.arange(5, 40, dtype=np.int32)


def _of(history: History) -> dict[str, float]:
    found = dict(zip(LISTED.tolist(), corrections(CONTENT, history, LISTED).tolist(), strict=True))
    return {"first": found[5], "second": found[15], "both": found[25], "unknown": found[35]}


def test_items_near_disliked_ones_fall_and_items_near_liked_ones_rise() -> None:
    found = _of(History.of([0, 1, 10, 11], [5, 5, 1, 1]))
    assert found["first"] > 0 > found["both"] > found["second"]
    only_liked = _of(History.of([0, 1], 5))
    assert only_liked["first"] > only_liked["both"] > only_liked["second"]


def test_dislikes_weigh_by_their_share_and_fade_with_the_length_of_the_history() -> None:
    few = _of(History.of([0, 1, 2, 3, 10], [3, 3, 3, 3, 1]))
    many = _of(History.of([0, 1, 2, 10, 11], [3, 3, 3, 1, 1]))
    assert many["second"] < few["second"] < 0
    once = corrections(CONTENT, History.of([10], 1), LISTED)
    thrice = corrections(CONTENT, History.of([10, 11, 12], 1), LISTED)
    np.testing.assert_allclose(thrice, once * (1 + FADING) / (3 + FADING), rtol=1e-5)


def test_nothing_is_corrected_without_ratings_without_content_and_for_a_long_history() -> None:
    nothing = History.of(np.arange(0)), History.of(np.arange(LONGEST + 1) % 40, 5)
    for history in nothing:
        assert not corrections(CONTENT, history, LISTED).any()
    assert not corrections(np.zeros_like(CONTENT), History.of([0, 10], [5, 1]), LISTED).any()
