"""The words of all titles, found also when misspelt, unfinished or without their accents."""

import re
import sys
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import OSA
from rapidfuzz.process import cdist

from app.titles import fold_case
from recommender.rows import Rows

LAST = chr(sys.maxunicode)  # sorts behind all that a word can begin with
UNFINISHED = 0.9  # what a word is worth of which only the beginning was typed
ONE_MISTAKE, TWO_MISTAKES = 3, 8  # from how many letters on
MAX_WORDS = 8  # each one is compared with all words there are


def words_of(folded_text: str) -> list[str]:
    """The words in their order; `ocean's` is `oceans`."""
    return re.findall(r"\w+", re.sub(r"['\u2019]", "", folded_text))


@dataclass(frozen=True, slots=True)
class TitleWords:
    """Distinct words of the titles, sorted, and neighbours joined: `starwars` and `spiderman` are found.

    The films with word i are at `positions[starts[i]:starts[i + 1]]`, int32.
    """

    words: list[str]
    starts: NDArray[np.int64]
    positions: NDArray[np.int32]
    n_films: int

    @classmethod
    def of(cls, titles: Sequence[str]) -> Self:
        films = defaultdict[str, list[int]](list)
        for position, title in enumerate(titles):
            single = words_of(title)
            for word in {*single, *map("".join, pairwise(single))}:
                films[word].append(position)
        words = sorted(films)
        starts = np.cumsum([0, *(len(films[word]) for word in words)])
        positions = np.fromiter((at for word in words for at in films[word]), np.int32)
        return cls(words, starts, positions, len(titles))

    def with_rows(self, rows: Rows, titles: Sequence[str]) -> Self:
        """With other films' titles: those of `rows.fresh`. A word that no title has now finds nothing."""
        fresh = type(self).of(titles)
        unheard = [word for word in fresh.words if word not in self]
        inserted = [bisect_left(self.words, word) for word in unheard]
        words = self.words.copy()
        for at, word in zip(reversed(inserted), reversed(unheard), strict=True):
            words.insert(at, word)
        known = np.arange(len(self.words))
        places = (
            known + np.searchsorted(inserted, known, side="right"),
            np.array([bisect_left(words, word) for word in fresh.words], np.int64),
        )
        of_word = np.concatenate((
            np.repeat(places[0], np.diff(self.starts)), np.repeat(places[1], np.diff(fresh.starts)),
        ))  # fmt: skip
        where = np.concatenate((rows.moved[self.positions], rows.fresh[fresh.positions]))
        of_word, where = of_word[where >= 0], where[where >= 0]
        in_order = np.argsort(of_word, kind="stable")
        starts = np.searchsorted(of_word[in_order], np.arange(len(words) + 1))
        return type(self)(words, starts, where[in_order].astype(np.int32), rows.ids.size)

    def likeness(self, query: str, *, misspelt: bool = False) -> NDArray[np.float64]:
        """float64 (n,), 0 to 1: how well each title holds every word, the last one perhaps unfinished."""
        asked = words_of(fold_case(query))
        found = np.full(self.n_films, 0.0 if len(asked) > MAX_WORDS else float(bool(asked)))
        for place, word in enumerate(asked[:MAX_WORDS], start=1):
            best = np.zeros(self.n_films)
            like = self._unfinished(word) if place == len(asked) else self._exact(word)
            for i, worth in chain(like, self._misspelt(word) if misspelt else ()):
                where = self.positions[self.starts[i] : self.starts[i + 1]]
                best[where] = np.maximum(best[where], worth)
            found *= best
        return found

    def __contains__(self, word: str) -> bool:
        i = bisect_left(self.words, word)
        return self.words[i : i + 1] == [word]

    def _exact(self, word: str) -> Iterator[tuple[int, float]]:
        i = bisect_left(self.words, word)
        if self.words[i : i + 1] == [word]:
            yield i, 1.0

    def _unfinished(self, word: str) -> Iterator[tuple[int, float]]:
        for i in range(bisect_left(self.words, word), bisect_left(self.words, word + LAST)):
            yield i, 1.0 if self.words[i] == word else UNFINISHED

    def _misspelt(self, word: str) -> Iterator[tuple[int, float]]:
        mistakes = (len(word) >= ONE_MISTAKE) + (len(word) >= TWO_MISTAKES)
        distances = cdist([word], self.words, scorer=OSA.distance, score_cutoff=mistakes, dtype=np.uint8)[0]
        for i in np.flatnonzero(distances <= mistakes).tolist():
            yield i, 1 - int(distances[i]) / (len(word) + 1)
