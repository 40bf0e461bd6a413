"""An inverted index of short texts, with exact, prefix and typo-tolerant lookup of words."""

import sys
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import OSA
from rapidfuzz.process import cdist

Ints = NDArray[np.int32]

LAST = chr(sys.maxunicode)  # a prefix with this letter sorts after all words with the prefix
ONE_ERROR, TWO_ERRORS = 3, 8  # shortest words in which so many errors are tolerated
MAX_COMPARED = 5_000  # most words compared to find two errors
_BASE, _MASK = 0x100000001B3, (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Found:
    """A matching word of the index: its texts int32 (n,), and 1 minus the share of mistyped letters."""

    word: str
    texts: Ints
    worth: float


@dataclass(frozen=True)
class WordIndex:
    """Postings: the texts with word i are `texts[starts[i]:starts[i + 1]]`. `words` are sorted."""

    words: list[str]
    starts: NDArray[np.int64]
    texts: Ints
    n_texts: int

    @classmethod
    def of(cls, texts: Sequence[Sequence[str]]) -> Self:
        holding: dict[str, list[int]] = {}
        for at, text in enumerate(texts):
            for word in dict.fromkeys(text):
                holding.setdefault(word, []).append(at)
        words = sorted(holding)
        starts = np.cumsum([0, *(len(holding[word]) for word in words)])
        return cls(
            words, starts, np.fromiter((at for word in words for at in holding[word]), np.int32), len(texts)
        )

    def with_texts(self, moved: Ints, fresh: Sequence[Sequence[str]]) -> Self:
        """Renumber text i to `moved[i]`, remove it if that is -1, and append the texts `fresh`.

        A word without texts stays in the index and matches nothing.
        """
        added = type(self).of(fresh)
        kept = int(moved.max(initial=-1)) + 1
        new = [word for word in added.words if not self.has(word)]
        inserted = [bisect_left(self.words, word) for word in new]
        words = self.words.copy()
        for at, word in zip(reversed(inserted), reversed(new), strict=True):
            words.insert(at, word)
        before = np.arange(len(self.words))
        places = (
            before + np.searchsorted(inserted, before, side="right"),
            np.array([bisect_left(words, word) for word in added.words], np.int64),
        )
        of_word = np.concatenate((
            np.repeat(places[0], np.diff(self.starts)), np.repeat(places[1], np.diff(added.starts)),
        ))  # fmt: skip
        texts = np.concatenate((moved[self.texts], kept + added.texts))
        of_word, texts = of_word[texts >= 0], texts[texts >= 0]
        in_order = np.argsort(of_word, kind="stable")
        starts = np.searchsorted(of_word[in_order], np.arange(len(words) + 1))
        index = type(self)(words, starts, texts[in_order].astype(np.int32), kept + len(fresh))
        if "_errors" in self.__dict__:
            keys, of_key = self._errors
            new_keys, of_new = deletions(new)
            insert_at = np.searchsorted(keys, new_keys)
            new_places = np.array([bisect_left(words, word) for word in new], np.int32)
            index.__dict__["_errors"] = (
                np.insert(keys, insert_at, new_keys),
                np.insert(places[0][of_key].astype(np.int32), insert_at, new_places[of_new]),
            )
        return index

    @cached_property
    def idf(self) -> NDArray[np.float32]:
        """Inverse document frequency of each word, (n_words,): high for a word of few texts."""
        counts = np.diff(self.starts)
        return np.log1p(self.n_texts / np.maximum(counts, 1)).astype(np.float32)

    @cached_property
    def _lengths(self) -> NDArray[np.int16]:
        return np.array([len(word) for word in self.words], np.int16)

    @cached_property
    def _errors(self) -> tuple[NDArray[np.uint64], Ints]:
        return deletions(self.words)

    def prepare(self) -> Self:
        """Build the caches that the first query would otherwise wait for."""
        _ = self._errors, self._lengths, self.idf
        return self

    def place(self, word: str) -> int | None:
        i = bisect_left(self.words, word)
        return i if self.words[i : i + 1] == [word] else None

    def has(self, word: str) -> bool:
        return self.place(word) is not None

    def at(self, place: int) -> slice:
        return slice(int(self.starts[place]), int(self.starts[place + 1]))

    def exact(self, word: str) -> slice:
        """The slice of `texts` with the word's texts; empty for an unknown word."""
        place = self.place(word)
        return slice(0, 0) if place is None else self.at(place)

    def beginning(self, letters: str) -> slice:
        """The slice of `texts` for all words with this prefix; it may hold a text repeatedly."""
        low, high = bisect_left(self.words, letters), bisect_left(self.words, letters + LAST)
        return slice(int(self.starts[low]), int(self.starts[high]))

    def mistyped(self, word: str) -> list[tuple[slice, float]]:
        """Slices of `texts` for the words that may be meant by a mistyped word, each with its worth.

        Words with one error are found by deletions (SymSpell). If there is none, a long word may have two
        errors, but not in its first letter.
        """
        if len(word) < ONE_ERROR or word.isdecimal():
            return []
        keys, places = self._errors
        hashes = np.array(hashes_of(word), np.uint64)
        low, high = np.searchsorted(keys, hashes, "left"), np.searchsorted(keys, hashes, "right")
        near = {
            place for a, b in zip(low.tolist(), high.tolist(), strict=True) for place in places[a:b].tolist()
        }
        found = [(place, OSA.distance(word, self.words[place], score_cutoff=1)) for place in near]
        within = [(place, errors) for place, errors in found if errors == 1]
        if not within and len(word) >= TWO_ERRORS:
            within = self._two_errors(word)
        return [(self.at(place), 1 - errors / (len(word) + 1)) for place, errors in within]

    def _two_errors(self, word: str) -> list[tuple[int, int]]:
        low, high = bisect_left(self.words, word[:1]), bisect_left(self.words, word[:1] + LAST)
        like = np.abs(self._lengths[low:high].astype(np.int32) - len(word)) <= 2  # noqa: PLR2004
        near = (low + np.flatnonzero(like)[:MAX_COMPARED]).tolist()
        choices = [self.words[i] for i in near]
        errors = cdist([word], choices, scorer=OSA.distance, score_cutoff=2, dtype=np.uint8)[0]
        return [(near[i], int(errors[i])) for i in np.flatnonzero(errors <= 2).tolist()]  # noqa: PLR2004


def deletions(words: Sequence[str]) -> tuple[NDArray[np.uint64], Ints]:
    """Hash each word, and each word without one letter.

    Returns the hashes, ascending uint64 (m,), and the place of the word of each, int32 (m,). Two words that
    differ by one deletion, insertion, substitution or swap of adjacent letters share a hash.
    """
    lengths = np.array([len(word) for word in words])
    hashes, places = [], []
    for length in np.unique(lengths[lengths > 1]).tolist():
        where = np.flatnonzero(lengths == length)
        codes = np.frombuffer("".join(words[i] for i in where.tolist()).encode("utf-32-le"), np.uint32)
        letters = codes.reshape(where.size, length).astype(np.uint64)
        hashes.append(_hash(letters))
        hashes += [_hash(np.delete(letters, gap, axis=1)) for gap in range(length)]
        places += [where] * (length + 1)
    if not hashes:
        return np.empty(0, np.uint64), np.empty(0, np.int32)
    keys, of_word = np.concatenate(hashes), np.concatenate(places).astype(np.int32)
    in_order = np.argsort(keys)
    return keys[in_order], of_word[in_order]


def hashes_of(word: str) -> list[int]:
    """The hashes that `deletions` makes of one word, unordered."""
    letters = [*map(ord, word)]
    return [_hash_of(letters), *(_hash_of(letters[:gap] + letters[gap + 1 :]) for gap in range(len(letters)))]


def _hash_of(letters: list[int]) -> int:
    value = len(letters)
    for letter in letters:
        value = (value * _BASE + letter) & _MASK
    return value


def _hash(letters: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Hash the rows of an array, uint64 (n, length), to uint64 (n,)."""
    value = np.full(len(letters), letters.shape[1], np.uint64)
    for column in letters.T:
        value = value * np.uint64(_BASE) + column
    return value
