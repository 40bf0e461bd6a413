"""The title index: inverted word indexes of titles, people and collections."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from anyascii import anyascii
from numpy.typing import NDArray

from app.serving.cards import Card, PersonRow
from app.serving.word_index import Ints, WordIndex
from app.serving.words import words_of
from recommender.row_mapping import RowMapping
from seeds.titles import fold

# Stop words: they count a tenth.
LIGHT = frozenset({
    "the", "a", "an", "and", "or", "of", "in", "on", "at", "to", "for", "with", "by", "from",
    "le", "la", "les", "der", "die", "das", "el", "los", "las", "il", "de", "du", "des",
})  # fmt: skip
LIGHT_WEIGHT = 0.1
COLLECTION = re.compile(r" \(?(?:collection|series|saga|trilogy|anthology|franchise)\)?$", re.IGNORECASE)
AGAINST = re.compile(r"(?<=\w) v\.? (?=[A-Z])")  # Batman v Superman
FIRST_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"})


@dataclass(frozen=True)
class TitleIndex:
    """Word indexes, with arrays that map their texts to movies and people.

    Text i of `titles` is a title of the movie at position `movies[i]`, int32; `main[i]`, bool: its main
    title. Text i of `names` is the name of the person `person_ids[i]`, int64, of `name_lengths[i]` words,
    int8; text i of `surnames` is its last word.
    """

    titles: WordIndex
    movies: Ints
    main: NDArray[np.bool_]
    names: WordIndex
    surnames: WordIndex
    person_ids: NDArray[np.int64]
    name_lengths: NDArray[np.int8]
    collections: "Collections"
    n_movies: int

    @classmethod
    def of(cls, cards: Sequence[Card], people: Iterable[PersonRow]) -> Self:
        texts = [
            (at, words, not n) for at, card in enumerate(cards) for n, words in enumerate(texts_of(card))
        ]
        persons = list(people)
        names = [words_of(person.name) for person in persons]
        index = cls(
            titles=WordIndex.of([words for _, words, _ in texts]),
            movies=np.array([at for at, _, _ in texts], np.int32),
            main=np.array([is_main for _, _, is_main in texts], np.bool_),
            names=WordIndex.of(names),
            surnames=WordIndex.of([words[-1:] for words in names]),
            person_ids=np.array([person.id for person in persons], np.int64),
            name_lengths=lengths(names),
            collections=Collections.of(cards),
            n_movies=len(cards),
        )
        return index.prepare()

    def with_rows(
        self, rows: RowMapping, fresh: Sequence[Card], people: Iterable[PersonRow], cards: Sequence[Card]
    ) -> Self:
        """Return the index after `rows`, with the cards `fresh` at `rows.fresh`. `cards`: all cards."""
        texts = [
            (at, words, not n)
            for at, card in zip(rows.fresh.tolist(), fresh, strict=True)
            for n, words in enumerate(texts_of(card))
        ]
        here = rows.moved[self.movies] >= 0
        moved = np.where(here, np.cumsum(here) - 1, -1).astype(np.int32)
        indexed = set(self.person_ids.tolist())
        persons = [person for person in people if person.id not in indexed]
        names = [words_of(person.name) for person in persons]
        stay = np.arange(self.person_ids.size, dtype=np.int32)
        index = replace(
            self,
            titles=self.titles.with_texts(moved, [words for _, words, _ in texts]),
            movies=np.append(rows.moved[self.movies[here]], [at for at, _, _ in texts]).astype(np.int32),
            main=np.append(self.main[here], [is_main for _, _, is_main in texts]).astype(np.bool_),
            collections=self.collections.with_rows(rows, fresh, cards),
            n_movies=rows.ids.size,
        )
        if persons:
            index = replace(
                index,
                names=self.names.with_texts(stay, names),
                surnames=self.surnames.with_texts(stay, [words[-1:] for words in names]),
                person_ids=np.append(self.person_ids, [person.id for person in persons]),
                name_lengths=np.append(self.name_lengths, lengths(names)),
            )
        return index.prepare()

    def prepare(self) -> Self:
        """Build the caches that the first query would otherwise wait for."""
        self.titles.prepare()
        self.names.prepare()
        self.surnames.prepare()
        _ = self.weights, self.main_texts, self.n_words
        return self

    @cached_property
    def word_weights(self) -> NDArray[np.float32]:
        """The weight of each word of `titles`, (n_words,): its idf; a tenth of it for a word of LIGHT."""
        weights = self.titles.idf.copy()
        for word in LIGHT:
            if (place := self.titles.place(word)) is not None:
                weights[place] *= LIGHT_WEIGHT
        return weights

    @cached_property
    def weights(self) -> NDArray[np.float32]:
        """The sum of the weights of each title's words, (n_titles,)."""
        return np.bincount(self.titles.texts, self.posting_weights, self.movies.size).astype(np.float32)

    @cached_property
    def n_words(self) -> Ints:
        """The number of distinct words of each title, (n_titles,)."""
        return np.bincount(self.titles.texts, minlength=self.movies.size).astype(np.int32)

    @cached_property
    def posting_weights(self) -> NDArray[np.float32]:
        """The weight of the word of each posting, aligned with `titles.texts`."""
        return np.repeat(self.word_weights, np.diff(self.titles.starts))

    @cached_property
    def main_texts(self) -> Ints:
        """The text of each movie's main title, (n_movies,)."""
        texts = np.flatnonzero(self.main)
        found = np.zeros(self.n_movies, np.int32)
        found[self.movies[texts]] = texts
        return found


@dataclass(frozen=True)
class Collections:
    """Index of collections. `members[i]`: positions of the movies of text i of `names`, by release."""

    names: WordIndex
    members: list[list[int]]
    n_words: Ints

    @classmethod
    def of(cls, cards: Sequence[Card]) -> Self:
        together: dict[str, list[tuple[str, int]]] = {}
        for at, card in enumerate(cards):
            if card.collection and card.year:
                together.setdefault(card.collection, []).append((release_of(card), at))
        words = {name: heavy_words(COLLECTION.sub("", name)) for name in together}
        for at, name in strays(cards, together, words):
            together[name].append((release_of(cards[at]), at))
        series = {name: sorted(movies) for name, movies in together.items() if len(movies) > 1}
        names = [words[name] for name in series]
        return cls(
            WordIndex.of(names),
            [[at for _, at in movies] for movies in series.values()],
            np.array([len(set(words)) for words in names], np.int32),
        )

    def with_rows(self, rows: RowMapping, fresh: Sequence[Card], cards: Sequence[Card]) -> Self:
        """Return the index after `rows`. It is built anew if a changed movie may affect a collection."""
        gone = set(np.flatnonzero(rows.moved < 0).tolist())
        touched = any(card.collection or any(map(self.names.has, heavy_words(card.title))) for card in fresh)
        if touched or any(not gone.isdisjoint(movies) for movies in self.members):
            return type(self).of(cards)
        return replace(self, members=[rows.moved[movies].tolist() for movies in self.members])


def strays(
    cards: Sequence[Card], together: Mapping[str, Sequence[tuple[str, int]]], words: Mapping[str, list[str]]
) -> Iterator[tuple[int, str]]:
    """Yield movies without a collection whose titles begin with the name of one: position and name.

    For a name of one word, the movie must also share a person with the collection.
    """
    by_word: dict[str, list[str]] = {}
    for name, name_words in words.items():
        if name_words:
            by_word.setdefault(name_words[0], []).append(name)
    credited = {
        name: {id_ for _, at in movies for id_ in people_of(cards[at])} for name, movies in together.items()
    }
    for at, card in enumerate(cards):
        if card.collection or not card.year or not by_word.keys() & set(fold(card.title).split()[:3]):
            continue
        title = heavy_words(card.title)
        for name in by_word.get(title[0], ()) if title else ():
            n = len(words[name])
            if title[:n] == words[name] and (n > 1 or not credited[name].isdisjoint(people_of(card))):
                yield at, name
                break


def heavy_words(title: str) -> list[str]:
    return [word for word in words_of(title) if word not in LIGHT]


def release_of(card: Card) -> str:
    return card.release_date.isoformat() if card.release_date else f"{card.year}-99"


def people_of(card: Card) -> set[int]:
    return {person.id for person in card.directors}.union(person.id for person, _ in card.cast)


def texts_of(card: Card) -> list[list[str]]:
    """The words of each title of a movie, the main title first, with transliterations to Latin letters."""
    titles = [card.title, *filter(None, [card.original_title]), *card.alternative_titles]
    titles += [AGAINST.sub(" vs ", title) for title in titles if AGAINST.search(title)]
    titles += [title.translate(FIRST_UMLAUTS) for title in titles if not title.isascii()]
    titles += [anyascii(title) for title in titles if not title.isascii()]
    texts = dict.fromkeys(tuple(words_of(title)) for title in titles)
    return [list(words) for words in texts if words] or [[]]


def lengths(names: Sequence[Sequence[str]]) -> NDArray[np.int8]:
    return np.array([min(len(set(words)), 127) for words in names], np.int8)
