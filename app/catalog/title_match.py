"""Match a query to titles, people and years, and to numbers within collections such as `die hard 4`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from anyascii import anyascii
from numpy.typing import NDArray

from app.catalog.title_scoring import MAX_WORDS, PARTS, SURPLUS, TITLE_SHARE, Matches, Scoring, taken
from app.serving.columns import Facts, People
from app.serving.title_index import LIGHT, TitleIndex
from app.serving.words import words_of

NUMBERED = 0.93  # weight of a match by the order of a collection
MAX_COLLECTIONS, MOST = 5, 0.6
CLEAR = 0.95  # coverage at which typing errors are not considered


def matches(index: TitleIndex, people: People, facts: Facts, query: str) -> Matches:
    """Find movies with a word of the query in a title or a person's name.

    Typing errors are considered in unknown words, and in all words if no movie has the whole query.
    """
    words = words_of(query)[:MAX_WORDS]
    if not words or not index.n_movies:
        nothing = np.empty(0, np.float32)
        return Matches(np.empty(0, np.int32), nothing, nothing, nothing, nothing, np.empty(0, np.int8))
    if not query.isascii() and not any(map(index.titles.has, words)):
        query = anyascii(query)
    found = Scoring(index, people, facts, query).result(mistyped=False)
    if found.coverage.max(initial=0) < CLEAR:
        again = Scoring(index, people, facts, query).result(mistyped=True)
        if again.relevance.max(initial=0) > found.relevance.max(initial=0):
            found = again
    return with_collections(index, words, found)


def with_collections(index: TitleIndex, words: Sequence[str], found: Matches) -> Matches:
    """Match `die hard 4` to the fourth movie of its collection, unless a title in it has the number."""
    numbers = [word for word in words if word in PARTS]
    if len(numbers) != 1:
        return found
    named = collections_named(index, [word for word in words if word not in LIGHT and word not in numbers])
    number = int(numbers[0])
    for text, share in named:
        members = index.collections.members[text]
        in_collection = np.isin(found.positions, members)
        if (
            number > len(members)
            or found.coverage[in_collection & (found.title_words > 0)].max(initial=0) > CLEAR
        ):
            continue
        relevance = NUMBERED * (1 - TITLE_SHARE + TITLE_SHARE * share)
        position = members[number - 1]
        others = taken(found, np.flatnonzero(found.positions != position))
        found = Matches(
            np.append(others.positions, np.int32(position)),
            np.append(others.coverage, np.float32(1)),
            np.append(others.share, np.float32(share)),
            np.append(others.relevance, np.float32(relevance)),
            np.append(others.counted, np.float32(1)),
            np.append(others.title_words, np.int8(len(words))),
        )
    return found


def collections_named(index: TitleIndex, words: Sequence[str]) -> list[tuple[int, float]]:
    """Collections whose names have all words except surplus ones, and the share of the name in the query."""
    names = index.collections.names
    texts: NDArray[Any] | None = None
    required = [word for word in words if word not in SURPLUS or names.has(word)]
    for word in required:
        having = names.texts[names.exact(word)]
        texts = having if texts is None else np.intersect1d(texts, having)
    if texts is None or texts.size > MAX_COLLECTIONS:
        return []
    shares = [(int(text), len(set(required)) / int(index.collections.n_words[text])) for text in texts]
    return [(text, share) for text, share in shares if share >= MOST]
