"""What a few words mean, as a direction among the items' content vectors."""

import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from recommender.item_features import ItemFeatures
from recommender.model.content import VECTOR_WIDTH, ContentEncoder

_WORD = re.compile(r"\w[\w-]*")


def meaning(encoder: ContentEncoder, words: str, genres: Sequence[str]) -> NDArray[np.float32]:
    """float32 (VECTOR_WIDTH,) of length 1; zeros where the encoder knows none of the words.

    The words are taken for an overview, and each one, two neighbours, and what may be its singular or plural
    for keywords; `genres` are names that are taken for genres where they stand among the words. The mean item
    is not taken off: words say what is there, and nothing by what they leave out.
    """
    asked = _WORD.findall(words.casefold())
    item = ItemFeatures.blank(np.zeros(1, np.int64))
    item.overviews[0] = words
    numbers = (form for word in asked for form in (f"{word}s", word.removesuffix("s")))
    item.keywords[0] = tuple(dict.fromkeys([*asked, *map(" ".join, pairwise(asked)), *numbers]))
    item.genres[0] = tuple(genre for genre in genres if genre.casefold() in asked)
    row = encoder.features(item)
    # Only the rows of the words: the whole product would copy all components.
    leading = encoder.components[row.indices, :VECTOR_WIDTH]
    direction: NDArray[np.float32] = np.asarray(row.data @ leading, np.float32)
    length = np.linalg.norm(direction)
    if length > 0:
        direction /= length
    return direction
