"""Titles, people and collections of the catalog in memory, each as an index of words."""

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
from recommender.row_mapping import Rows
from seeds.titles import fold

# A word that a title or a query may have or lack: it counts a tenth.
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
    """Texts of words, and what each text is of.

    A text of `titles` is one title of the movie at position `movies[text]`, int32; `main`, bool: the movie
    goes by it. A text of `names` is the name of the person `person_ids[text]`, int64; `surnames` has its last
    word, `name_lengths` int8 the number of its words.
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
        self, rows: Rows, fresh: Sequence[Card], people: Iterable[PersonRow], cards: Sequence[Card]
    ) -> Self:
        """With the cards `fresh` at `rows.fresh`; `cards` are all there are then."""
        texts = [
            (at, words, not n)
            for at, card in zip(rows.fresh.tolist(), fresh, strict=True)
            for n, words in enumerate(texts_of(card))
        ]
        here = rows.moved[self.movies] >= 0
        moved = np.where(here, np.cumsum(here) - 1, -1).astype(np.int32)
        known = set(self.person_ids.tolist())
        persons = [person for person in people if person.id not in known]
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
        self.titles.prepare()
        self.names.prepare()
        self.surnames.prepare()
        _ = self.weights, self.main_texts, self.n_words
        return self

    @cached_property
    def word_weights(self) -> NDArray[np.float32]:
        """(n_words,) of `titles`: the idf, a tenth of it for a light word."""
        weights = self.titles.idf.copy()
        for word in LIGHT:
            if (place := self.titles.place(word)) is not None:
                weights[place] *= LIGHT_WEIGHT
        return weights

    @cached_property
    def weights(self) -> NDArray[np.float32]:
        """(n_titles,): the weights of a title's words together."""
        return np.bincount(self.titles.texts, self.posting_weights, self.movies.size).astype(np.float32)

    @cached_property
    def n_words(self) -> Ints:
        """(n_titles,): how many words each title has, each counted once."""
        return np.bincount(self.titles.texts, minlength=self.movies.size).astype(np.int32)

    @cached_property
    def posting_weights(self) -> NDArray[np.float32]:
        """Aligned with `titles.texts`: the weight of the word that a title stands under."""
        return np.repeat(self.word_weights, np.diff(self.titles.starts))

    @cached_property
    def main_texts(self) -> Ints:
        """(n_movies,): the text of the title that each movie goes by."""
        texts = np.flatnonzero(self.main)
        found = np.zeros(self.n_movies, np.int32)
        found[self.movies[texts]] = texts
        return found


@dataclass(frozen=True)
class Collections:
    """The movies of each collection by release: those of text i of `names` are `members[i]`, positions."""

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

    def with_rows(self, rows: Rows, fresh: Sequence[Card], cards: Sequence[Card]) -> Self:
        gone = set(np.flatnonzero(rows.moved < 0).tolist())
        touched = any(card.collection or any(map(self.names.has, heavy_words(card.title))) for card in fresh)
        if touched or any(not gone.isdisjoint(movies) for movies in self.members):
            return type(self).of(cards)
        return replace(self, members=[rows.moved[movies].tolist() for movies in self.members])


def strays(
    cards: Sequence[Card], together: Mapping[str, Sequence[tuple[str, int]]], words: Mapping[str, list[str]]
) -> Iterator[tuple[int, str]]:
    """Movies of no collection that belong to one: their titles begin with its name.

    A name of one word decides only where the movie shares a person with the collection.
    """
    by_word: dict[str, list[str]] = {}
    for name, its_words in words.items():
        if its_words:
            by_word.setdefault(its_words[0], []).append(name)
    credited = {
        name: {id_ for _, at in movies for id_ in people_of(cards[at])} for name, movies in together.items()
    }
    for at, card in enumerate(cards):
        if card.collection or not card.year or not by_word.keys() & set(fold(card.title).split()[:3]):
            continue
        its = heavy_words(card.title)
        for name in by_word.get(its[0], ()) if its else ():
            n = len(words[name])
            if its[:n] == words[name] and (n > 1 or not credited[name].isdisjoint(people_of(card))):
                yield at, name
                break


def heavy_words(title: str) -> list[str]:
    return [word for word in words_of(title) if word not in LIGHT]


def release_of(card: Card) -> str:
    return card.release_date.isoformat() if card.release_date else f"{card.year}-99"


def people_of(card: Card) -> set[int]:
    return {person.id for person in card.directors}.union(person.id for person, _ in card.cast)


def texts_of(card: Card) -> list[list[str]]:
    """The words of each of its titles, the main one first; of other scripts in Latin letters, too."""
    titles = [card.title, *filter(None, [card.original_title]), *card.alternative_titles]
    titles += [AGAINST.sub(" vs ", title) for title in titles if AGAINST.search(title)]
    titles += [title.translate(FIRST_UMLAUTS) for title in titles if not title.isascii()]
    titles += [anyascii(title) for title in titles if not title.isascii()]
    texts = dict.fromkeys(tuple(words_of(title)) for title in titles)
    return [list(words) for words in texts if words] or [[]]


def lengths(names: Sequence[Sequence[str]]) -> NDArray[np.int8]:
    return np.array([min(len(set(words)), 127) for words in names], np.int8)
