"""People of the catalog: find them by name."""

import numpy as np
from numpy.typing import NDArray

from app.catalog.title_scoring import MAX_WORDS
from app.serving.snapshot import Snapshot
from app.serving.title_index import TitleIndex
from app.serving.words import words_of
from recommender.interactions import positions


def named(snapshot: Snapshot, query: str) -> NDArray[np.int64]:
    """Ids of the people whose names have all words of the query, int64 (m,).

    The last word may be incomplete; each may be mistyped if no name has it. Whole names come first, then
    people whose movies have most ratings.
    """
    index, words = snapshot.titles, words_of(query)[:MAX_WORDS]
    found: NDArray[np.int32] | None = None
    for place, word in enumerate(words):
        texts = having(index, word, unfinished=place == len(words) - 1)
        found = texts if found is None else np.intersect1d(found, texts)
    if found is None:
        return np.empty(0, np.int64)
    ids = index.person_ids[found]
    rows = positions(snapshot.people.ids, ids)  # -1 for a person without movies
    found, ids, rows = found[rows >= 0], ids[rows >= 0], rows[rows >= 0]
    partial = index.name_lengths[found] > len(set(words))
    return ids[np.lexsort((ids, -ratings_of_people(snapshot)[rows], partial))]


def having(index: TitleIndex, word: str, *, unfinished: bool) -> NDArray[np.int32]:
    """The names with a word, or else those with a word that may be meant; sorted, without duplicates."""
    names = index.names
    texts = names.texts[names.beginning(word) if unfinished else names.exact(word)]
    if not texts.size:
        meant = [names.texts[where] for where, _ in names.mistyped(word)]
        texts = np.concatenate(meant) if meant else texts
    return np.unique(texts)


def ratings_of_people(snapshot: Snapshot) -> NDArray[np.int64]:
    """The number of ratings of the movies of each person, int64 (n_people,)."""
    known: NDArray[np.int64] | None = snapshot.derived.get(ratings_of_people)
    if known is None:
        people = snapshot.people
        sums = np.append(0, np.cumsum(snapshot.rating_count[people.movie_positions], dtype=np.int64))
        known = sums[people.starts[1:]] - sums[people.starts[:-1]]
        snapshot.derived[ratings_of_people] = known
    return known


def movies_of(snapshot: Snapshot, person_id: int) -> NDArray[np.bool_]:
    """The movies that a person directed or played in, bool (n_movies,)."""
    people, among = snapshot.people, np.zeros(len(snapshot.cards), np.bool_)
    (row,) = positions(people.ids, [person_id])
    if row >= 0:
        among[people.movie_positions[people.starts[row] : people.starts[row + 1]]] = True
    return among
