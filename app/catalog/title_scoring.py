"""Score movies against a query by their titles, people and years."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import OSA

from app.serving.columns import Facts, People
from app.serving.title_index import LIGHT, LIGHT_WEIGHT, TitleIndex
from app.serving.word_index import ONE_ERROR, Ints
from app.serving.words import NUMBER_WORDS, one_form, words_of
from recommender.interactions import positions
from seeds.titles import fold

Floats = NDArray[np.float32]

MAX_WORDS = 12
# Words that people add to a title; they count only in titles that have them.
SURPLUS = frozenset({
    "movie", "movies", "film", "films", "full", "watch", "online", "free", "hd", "dvd", "bluray", "trailer",
    "stream", "streaming", "imdb", "starring", "directed", "director", "actor", "part", "volume", "episode",
    "chapter",
})  # fmt: skip
UNFINISHED, JOINED, PARTED, MISTYPED = 0.9, 0.97, 0.95, 0.9  # weights relative to an exact match
FULL_NAME, SURNAME, FORENAME = 1.0, 0.9, 0.5
NEAR_YEAR = 0.5
UNKNOWN_WEIGHT = 0.25  # of a word that is in no title or name as written
YEAR_WEIGHT = 0.5  # of a year that differs
OTHER_TITLE = 0.96  # weight of a title other than the main one
PERSON_ONLY = 0.7  # a whole name counts as this share of the title
TITLE_SHARE = 0.4  # part of the relevance that depends on the share of the title in the query
PARTS = frozenset(map(str, range(1, 21)))
OTHER_NUMBER = 0.85  # weight of a movie without the query's number of a sequel
OTHER_WORDS = 0.95  # weight of a title whose words, including light ones, are not exactly the query's
UNFINISHED_YEAR = re.compile(r"(?:1[89]|20)\d?")
OF_LIGHT = 0.5  # minimum share of a title for a query of light words
FIRST_YEAR, LAST_YEAR = 1870, 2050


@dataclass(frozen=True, slots=True)
class Matches:
    """Movies with words of a query, in aligned columns: `positions` int32 (n,), and float32 (n,) from 0 to 1.

    `coverage`: the weighted share of the query that the movie has. `share`: the weighted share of its title
    that the query has. `relevance`: both combined. `counted`: the unweighted share of the query's words that
    the movie has, without light and surplus words. `title_words` int8 (n,): the number of the query's words
    in the title.
    """

    positions: Ints
    coverage: Floats
    share: Floats
    relevance: Floats
    counted: Floats
    title_words: NDArray[np.int8]


class Scoring:
    """Scores one query. `title_hits` float32 (n_words, n_titles): how well each title matches each word."""

    def __init__(self, index: TitleIndex, people: People, facts: Facts, query: str) -> None:
        self.index, self.people, self.facts = index, people, facts
        self.words = words_of(query)[:MAX_WORDS]
        self.letters = fold(query).split()[-1]  # as typed, without number forms: `i` may be the start of "It"
        self.title_hits = np.zeros((len(self.words), index.movies.size), np.float32)
        self.mass = np.zeros(index.movies.size, np.float32)  # weight of each title's words that match
        self.name_hits = np.zeros((len(self.words), index.n_movies), np.float32)  # as `title_hits`, for names
        self.counts = np.zeros(len(self.words))  # titles and people with the word
        self.known = np.zeros(len(self.words), np.bool_)  # whether any has the word as written

    def result(self, *, mistyped: bool) -> Matches:
        self._titles(mistyped)
        self._names(mistyped)
        weights, missing = self._weights()
        texts = self._candidates()
        movies = self.index.movies[texts]
        best = np.maximum(
            self.title_hits[:, texts], np.maximum(self.name_hits[:, movies], self._years(movies))
        )
        gained = weights @ best
        coverage = gained / np.maximum(gained + missing @ (1 - best), 1e-6)
        share = np.minimum(self.mass[texts] / np.maximum(self.index.weights[texts], 1e-6), 1)
        share *= np.where(self.index.main[texts], 1, OTHER_TITLE)
        heavy = [i for i, word in enumerate(self.words) if word not in LIGHT] or [*range(len(self.words))]
        title_words = np.count_nonzero(self.title_hits[:, texts][heavy], axis=0).astype(np.int8)
        whole = self.name_hits[:, movies].max(0) * PERSON_ONLY
        relevance = coverage * (1 - TITLE_SHARE + TITLE_SHARE * np.maximum(share, whole))
        just_these = (self.index.n_words[texts] == len(set(self.words))) & (
            self.title_hits[:, texts].min(0) == 1
        )
        relevance *= np.where(just_these, 1, OTHER_WORDS)
        numbers = [i for i in range(len(self.words)) if self.words[i] in PARTS]
        relevance *= np.where((best[numbers] > 0).all(0), 1, OTHER_NUMBER)
        counting = [i for i in heavy if self.words[i] not in SURPLUS] or heavy
        counted = (best[counting] > 0).mean(0, dtype=np.float32)
        return best_of_each(Matches(movies, coverage, share, relevance, counted, title_words))

    def _titles(self, mistyped: bool) -> None:
        """Fill `title_hits` and `mass`."""
        last = len(self.words) - 1
        titles = self.index.titles
        for i, word in enumerate(self.words):
            own = np.zeros(self.index.movies.size, np.float32)
            exact = titles.exact(word)
            self._take(i, own, exact, 1.0)
            if i == last:
                for letters in {word, self.letters}:
                    self._take(i, own, titles.beginning(letters), UNFINISHED)
                for form in unfinished_numbers(word):
                    self._take(i, own, titles.exact(form), UNFINISHED)
            self._parted(i, own, word, known=exact.start < exact.stop)
            self.known[i] = own.any()
            if mistyped or not self.known[i]:
                for where, worth in (*titles.mistyped(word), *self._mistyped_number(word)):
                    self._take(i, own, where, worth * MISTYPED)
            self.mass += own
            self.counts[i] += np.count_nonzero(self.title_hits[i])
        for i in range(last):
            self._joined(i, mistyped)

    def _mistyped_number(self, word: str) -> Iterator[tuple[slice, float]]:
        if len(word) >= ONE_ERROR:
            for number, form in NUMBER_WORDS.items():
                if OSA.distance(word, number, score_cutoff=1) == 1:
                    yield self.index.titles.exact(form), 1 - 1 / (len(word) + 1)

    def _take(self, i: int, own: Floats, where: slice, worth: float) -> None:
        texts = self.index.titles.texts[where]
        self.title_hits[i, texts] = np.maximum(self.title_hits[i, texts], worth)
        own[texts] = np.maximum(own[texts], worth * self.index.posting_weights[where])

    def _joined(self, i: int, mistyped: bool) -> None:
        """Match `ghost busters` to a title that has `ghostbusters`."""
        titles = self.index.titles
        word = self.words[i] + self.words[i + 1]
        exact = titles.exact(word)
        found = [(exact, JOINED)]
        if i + 1 == len(self.words) - 1:
            found.append((titles.beginning(word), JOINED * UNFINISHED))
        # A number is no typing error: `godfather2` is not `godfather`.
        numbered = self.words[i].isdecimal() or self.words[i + 1].isdecimal()
        if mistyped and exact.start == exact.stop and not numbered:
            found += [(where, JOINED * MISTYPED * worth) for where, worth in titles.mistyped(word)]
        for where, worth in found:
            texts = titles.texts[where]
            for each in (i, i + 1):
                self.title_hits[each, texts] = np.maximum(self.title_hits[each, texts], worth)
            self.mass[texts] = np.maximum(self.mass[texts], worth * self.index.posting_weights[where])

    def _parted(self, i: int, own: Floats, word: str, *, known: bool) -> None:
        """Match `starwars` to a title that has `star` and `wars`."""
        titles = self.index.titles
        shortest = 3 if known else 1
        for cut in range(shortest, len(word) - shortest + 1):
            one, other = (one_form(part) for part in (word[:cut], word[cut:]))
            first = titles.exact(one)
            if first.start == first.stop or word.isdecimal():
                continue
            second = titles.exact(other)
            if second.start == second.stop:
                continue
            texts, at, place = np.intersect1d(
                titles.texts[first], titles.texts[second], assume_unique=True, return_indices=True
            )
            self.title_hits[i, texts] = np.maximum(self.title_hits[i, texts], PARTED)
            mass = self.index.posting_weights[first][at] + self.index.posting_weights[second][place]
            own[texts] = np.maximum(own[texts], PARTED * mass)

    def _names(self, mistyped: bool) -> None:
        """Fill `name_hits`. Words of whole names in the query and surnames count more than forenames."""
        of_word = list(self._people_of_words(mistyped))
        everyone = np.concatenate([persons for persons, _, _ in of_word])
        if not everyone.size:
            return
        persons, n_words = np.unique(everyone, return_counts=True)
        whole = n_words >= self.index.name_lengths[persons]
        for i, (with_word, by_surname, worth) in enumerate(of_word):
            if not with_word.size:
                continue
            level = np.where(whole[np.searchsorted(persons, with_word)], FULL_NAME, FORENAME)
            level = np.maximum(level, np.where(np.isin(with_word, by_surname), SURNAME, 0)) * worth
            movies, n_movies = movies_of(self.index, self.people, with_word)
            np.maximum.at(self.name_hits[i], movies, np.repeat(level.astype(np.float32), n_movies))
            self.counts[i] += with_word.size

    def _people_of_words(self, mistyped: bool) -> Iterator[tuple[Ints, Ints, float]]:
        """Yield for each word the people with it, those with it as a surname, and its weight."""
        names, surnames = self.index.names, self.index.surnames
        for i, word in enumerate(self.words):
            persons, last, worth = names.texts[names.exact(word)], surnames.texts[surnames.exact(word)], 1.0
            if not persons.size and i == len(self.words) - 1 and len(word) > 2:  # noqa: PLR2004
                persons = np.unique(names.texts[names.beginning(word)])
                last, worth = surnames.texts[surnames.beginning(word)], UNFINISHED
            if word in LIGHT:
                persons = persons[:0]
            self.known[i] |= bool(persons.size)
            if (mistyped or not self.known[i]) and not persons.size:
                near = names.mistyped(word)
                persons = np.unique(np.concatenate([persons, *(names.texts[where] for where, _ in near)]))
                last = np.concatenate(
                    [last, *(surnames.texts[where] for where, _ in surnames.mistyped(word))]
                )
                worth = MISTYPED * min((each for _, each in near), default=1.0)
            yield persons, last, worth

    def _years(self, movies: Ints) -> Floats:
        """float32 (n_words, n): 1 for a word that is the movie's year, less for a neighboring one."""
        years = np.zeros((len(self.words), movies.size), np.float32)
        for i, word in enumerate(self.words):
            if is_year(word):
                apart = np.abs(self.facts.years[movies].astype(np.int32) - int(word))
                years[i] = np.where(apart == 0, 1, np.where(apart == 1, NEAR_YEAR, 0))
        return years

    def _weights(self) -> tuple[Floats, Floats]:
        """The gain of a word that matches and the loss of one that does not, float32 (n_words,) each."""
        n = self.index.movies.size
        weights = np.log1p(n / np.maximum(self.counts, 1))
        missing = np.where(self.known, weights, weights * UNKNOWN_WEIGHT)
        for i, word in enumerate(self.words):
            if word in LIGHT:
                weights[i] *= LIGHT_WEIGHT
                missing[i] *= LIGHT_WEIGHT
            elif is_year(word):
                missing[i] *= YEAR_WEIGHT
            elif word in SURPLUS or (i == len(self.words) - 1 and UNFINISHED_YEAR.fullmatch(word)):
                missing[i] *= LIGHT_WEIGHT
        return weights.astype(np.float32), missing.astype(np.float32)

    def _candidates(self) -> Ints:
        """Titles with a word that counts, and main titles of movies of people with such a word."""
        heavy = [i for i, word in enumerate(self.words) if word not in LIGHT and word not in SURPLUS]
        if not heavy:
            return np.flatnonzero(self.mass >= OF_LIGHT * self.index.weights).astype(np.int32)
        rows = heavy
        texts = np.flatnonzero(self.title_hits[rows].any(0))
        named = np.flatnonzero(self.name_hits[rows].any(0))
        return np.union1d(texts, self.index.main_texts[named]).astype(np.int32)


def movies_of(index: TitleIndex, people: People, persons: Ints) -> tuple[Ints, NDArray[np.int64]]:
    """The movies of all persons, concatenated, and the number of movies of each."""
    at = positions(people.ids, index.person_ids[persons])
    known = at >= 0
    starts = np.where(known, people.starts[at], 0)
    sizes = np.where(known, people.starts[at + 1] - starts, 0)
    within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return people.movie_positions[np.repeat(starts, sizes) + within], sizes


def best_of_each(found: Matches) -> Matches:
    """Keep the most relevant title of each movie; positions ascending."""
    in_order = np.lexsort((-found.relevance, found.positions))
    _, first = np.unique(found.positions[in_order], return_index=True)
    return taken(found, in_order[first])


def taken(found: Matches, rows: NDArray[Any]) -> Matches:
    return Matches(
        found.positions[rows],
        found.coverage[rows],
        found.share[rows],
        found.relevance[rows],
        found.counted[rows],
        found.title_words[rows],
    )


def unfinished_numbers(letters: str) -> list[str]:
    """Forms of number words with this beginning: `tw` may become two, twelve, twelfth or twenty."""
    if len(letters) < 2:  # noqa: PLR2004
        return []
    return [form for word, form in NUMBER_WORDS.items() if word.startswith(letters)]


def is_year(word: str) -> bool:
    return len(word) == 4 and word.isdecimal() and FIRST_YEAR <= int(word) <= LAST_YEAR  # noqa: PLR2004
