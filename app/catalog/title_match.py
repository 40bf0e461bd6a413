"""Match a query to titles, people and years, and to numbers within collections such as `die hard 4`."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from anyascii import anyascii
from numpy.typing import NDArray

from app.catalog.title_scoring import (
    MAX_WORDS,
    PARTS,
    SURPLUS,
    TITLE_SHARE,
    Matches,
    Scoring,
    is_year,
    movies_of,
    taken,
)
from app.serving.columns import Facts, People
from app.serving.title_index import LIGHT, TitleIndex
from app.serving.word_index import Ints
from app.serving.words import MAX_LETTERS, one_form, words_of
from seeds.titles import fold

NUMBERED = 0.93  # weight of a match by the order of a collection
MAX_COLLECTIONS, MOST = 5, 0.6
# Letters of several words without spaces, and ways to part them.
SHORTEST_PARTED, LONGEST_PARTED, MOST_WAYS = 8, 100, 12
CLEAR = 0.95  # coverage at which typing errors are not considered


def matches(index: TitleIndex, people: People, facts: Facts, query: str) -> Matches:
    """Find movies with a word of the query in a title or a person's name.

    Typing errors are considered in unknown words, and in all words if no movie has the whole query.
    """
    query = with_spaces(index, query)
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
    return with_collections(index, people, facts, words, found)


def with_spaces(index: TitleIndex, query: str) -> str:
    """Write `thelionking` as `the lion king` if a title has these words."""
    words = fold(query).split()[:MAX_WORDS]
    parts = [parted(index, word) for word in words]
    if not any(parts):
        return query
    return " ".join(" ".join(found) or word for word, found in zip(words, parts, strict=True))


def parted(index: TitleIndex, word: str) -> list[str]:
    """The fewest words of one title, three or more, that are this word without spaces.

    Empty if there are none, or if a title or a name has the word as it is. `Scoring` matches two words.
    """
    titles = index.titles
    if not SHORTEST_PARTED <= len(word) <= LONGEST_PARTED or titles.has(word) or index.names.has(word):
        return []
    ways: list[list[list[str]]] = [[[]]]  # into words, for the first letters of the word
    for end in range(1, len(word) + 1):
        found = [
            [*before, word[start:end]]
            for start in range(max(0, end - MAX_LETTERS), end)
            if ways[start] and titles.has(one_form(word[start:end]))
            for before in ways[start]
        ]
        ways.append(sorted(found, key=len)[:MOST_WAYS])
    fewest = next((way for way in ways[-1] if in_one_title(index, way)), [])
    return fewest if len(fewest) > 2 else []  # noqa: PLR2004


def in_one_title(index: TitleIndex, words: Sequence[str]) -> bool:
    """Whether a title has all words, and at least one of them is not light."""
    titles = index.titles
    together: NDArray[Any] | None = None
    for word in words:
        if word not in LIGHT:
            having = titles.texts[titles.exact(one_form(word))]
            together = having if together is None else np.intersect1d(together, having)
    return together is not None and together.size > 0


def with_collections(
    index: TitleIndex, people: People, facts: Facts, words: Sequence[str], found: Matches
) -> Matches:
    """Match `die hard 4` to the fourth movie of its collection, unless a title in it has the number.

    A year in the query must be that of the movie, and people in it must be credited.
    """
    numbers = [word for word in words if word in PARTS]
    if len(numbers) != 1:
        return found
    years = [word for word in words if is_year(word)]
    heavy = [word for word in words if word not in (*LIGHT, *numbers, *years)]
    named, persons = collections_named(index, heavy), list[str]()
    if not named:
        named, persons = collections_and_people(index, heavy)
    number = int(numbers[0])
    numbered = index.movies[index.titles.texts[index.titles.exact(numbers[0])]]
    for text, share in named:
        members = index.collections.members[text]
        in_collection = np.isin(found.positions, members) & (found.title_words > 0)
        if persons:  # their names cover so much that the number does not count
            in_collection &= np.isin(found.positions, numbered)
        if number > len(members) or found.coverage[in_collection].max(initial=0) > CLEAR:
            continue
        position = members[number - 1]
        if any(int(year) != facts.years[position] for year in years):
            continue
        if not all(position in movies_with(index, people, word) for word in persons):
            continue
        found = with_part(found, position, share, len(words))
    return found


def with_part(found: Matches, position: int, share: float, n_words: int) -> Matches:
    """Count a movie as matched by all words of the query, `share` of them those of its collection."""
    others = taken(found, np.flatnonzero(found.positions != position))
    relevance = NUMBERED * (1 - TITLE_SHARE + TITLE_SHARE * share)
    return Matches(
        np.append(others.positions, np.int32(position)),
        np.append(others.coverage, np.float32(1)),
        np.append(others.share, np.float32(share)),
        np.append(others.relevance, np.float32(relevance)),
        np.append(others.counted, np.float32(1)),
        np.append(others.title_words, np.int8(n_words)),
    )


def movies_with(index: TitleIndex, people: People, word: str) -> Ints:
    """Positions of the movies of the people whose names have the word."""
    return movies_of(index, people, np.unique(index.names.texts[index.names.exact(word)]))[0]


def collections_and_people(
    index: TitleIndex, words: Sequence[str]
) -> tuple[list[tuple[int, float]], list[str]]:
    """Collections that the first or last words name, if the others are of names of people; and those words.

    The longest name of a collection counts.
    """
    plain = [word for word in words if word not in SURPLUS]
    for length in range(len(plain) - 1, 0, -1):
        for of_collection, of_people in (
            (plain[:length], plain[length:]),
            (plain[-length:], plain[:-length]),
        ):
            if all(map(index.names.has, of_people)) and (found := collections_of(index, set(of_collection))):
                return found, of_people
    return [], []


def collections_named(index: TitleIndex, words: Sequence[str]) -> list[tuple[int, float]]:
    """Collections whose names have all words, and the share of the name in the query.

    Surplus words count only if a name has them all: `scary movie 2`, but `alien 2 movie`.
    """
    plain = [word for word in words if word not in SURPLUS]
    for required in (words, plain):
        if found := collections_of(index, set(required)):
            return found
    return []


def collections_of(index: TitleIndex, required: Collection[str]) -> list[tuple[int, float]]:
    names = index.collections.names
    texts: NDArray[Any] | None = None
    for word in required:
        having = names.texts[names.exact(word)]
        texts = having if texts is None else np.intersect1d(texts, having)
    if texts is None or texts.size > MAX_COLLECTIONS:
        return []
    shares = [(int(text), len(required) / int(index.collections.n_words[text])) for text in texts]
    return [(text, share) for text, share in shares if share >= MOST]
