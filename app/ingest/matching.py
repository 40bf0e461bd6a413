"""Match the rows of a file to movies of the catalog. A doubtful row matches none.

An id that is in the catalog decides. Without one, title and year do. A neighboring year counts if the titles
are equal as written, and neither the catalog nor the file has a movie of that title and exact year.
"""

import enum
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Protocol

from app.ingest.pieces import Steps
from app.ingest.rows import Row, Skipped
from seeds.movies import IDS, ids_differ
from seeds.titles import fold, parse_title

NO_MOVIE = "No movie in the catalog has its id, or its title and year."
SEVERAL = "Several movies in the catalog have its title and year."
NO_YEAR = "It has no year, and no id of a movie in the catalog."
NO_ID = "No movie in the catalog has its id."
IDS_DIFFER = "Its ids are those of different movies in the catalog."
ID_OF_OTHER = "The movie with its MovieLens id has another title and year."
OTHER_YEAR = "Another row of the file better matches the movie of this title and a neighboring year."
NEAR_YEARS = "Rows of the file have its title and different years, each a neighbor of the year of one movie."
OTHER_TITLE = "Another row of the file has the exact title of the movie."
CARDS_AT_ONCE = 50


parsed = lru_cache(4096)(parse_title)  # called several times for a row


class MatchedBy(enum.StrEnum):
    ID = "ID"
    TITLE_AND_YEAR = "TITLE_AND_YEAR"
    TITLE_AND_NEAR_YEAR = "TITLE_AND_NEAR_YEAR"


class NamedMovie(Protocol):
    """The identifying columns of a movie. The cards of the serving snapshot have them."""

    @property
    def id(self) -> int: ...
    @property
    def title(self) -> str: ...
    @property
    def original_title(self) -> str | None: ...
    @property
    def alternative_titles(self) -> tuple[str, ...]: ...
    @property
    def year(self) -> int | None: ...
    @property
    def imdb_id(self) -> str | None: ...
    @property
    def tmdb_id(self) -> int | None: ...
    @property
    def movielens_id(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class MovieMatch:
    row: Row
    movie_id: int
    by: MatchedBy
    as_written: bool = False  # whether the titles are equal, if they decided


@dataclass(frozen=True, slots=True)
class MovieIndex:
    """The places of movies in `cards` by id, and by title without case, accents and punctuation.

    Collections of garbage skip tables of numbers; tables of cards would cost each of them some ms.
    """

    cards: Sequence[NamedMovie]
    by_id: dict[tuple[str, Any], int] = field(default_factory=dict)
    by_title: dict[str, tuple[int, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, cards: Sequence[NamedMovie]) -> "Steps[MovieIndex]":
        index = cls(cards)
        for place, card in enumerate(cards):
            for kind in IDS:
                if (value := getattr(card, kind)) is not None:
                    index.by_id[kind, value] = place
            for title in {fold(name) for name in names_of(card)}:
                index.by_title[title] = (*index.by_title.get(title, ()), place)
            if place % CARDS_AT_ONCE == 0:
                yield
        index.by_title.pop("", None)
        return index

    def with_ids_of(self, row: Row) -> list[NamedMovie]:
        """The movies with the row's ids; several if the ids are those of different movies."""
        places = (self.by_id.get((kind, getattr(row, kind))) for kind in IDS)
        return [self.cards[place] for place in dict.fromkeys(places) if place is not None]

    def with_title_of(self, row: Row, year: int) -> list[NamedMovie]:
        """The movies with the row's title in this or a neighboring year, and without an id that differs."""
        titles = {fold(title) for title in titles_of(row)}
        places = dict.fromkeys(place for title in titles for place in self.by_title.get(title, ()))
        return [
            card
            for card in map(self.cards.__getitem__, places)
            if card.year is not None and abs(card.year - year) <= 1 and not ids_differ(row, card)
        ]


def main_names_of(card: NamedMovie) -> list[str]:
    return [name for name in (card.title, card.original_title) if name]


def names_of(card: NamedMovie) -> list[str]:
    return [*main_names_of(card), *card.alternative_titles]


def titles_of(row: Row) -> set[str]:
    """The titles as written, and without the year in parentheses and with the article in front."""
    found = set(row.titles)
    for title in row.titles:
        name, _, year = parsed(title)
        # Other parentheses may be part of the title, as in `Che (Part Two)`.
        if year in (None, row.year) and name.count("(") == title.count("(") - (year is not None):
            found.add(name)
    return found


def is_written(row: Row, names: Iterable[str]) -> bool:
    """Whether one of the row's titles is one of the names, except for case and spaces."""
    titles = {" ".join(title.casefold().split()) for title in titles_of(row)}
    return any(" ".join(name.casefold().split()) in titles for name in names)


def matched(rows: Sequence[Row], index: MovieIndex) -> Steps[tuple[list[MovieMatch], list[Skipped]]]:
    """Match rows to movies, one row a step. Returns the matches and the rows without one."""
    found: list[MovieMatch] = []
    skipped: list[Skipped] = []
    for row in rows:
        yield
        match = match_of(row, index)
        if isinstance(match, MovieMatch):
            found.append(match)
        else:
            skipped.append(skip(row, row.fault or match))
    matches: list[MovieMatch] = []
    for of_one in by_movie(found).values():
        # A faulty row is not stored, but it still shows that doubtful rows are of another movie.
        for match, reason in with_conflicts(of_one):
            yield
            if reason or match.row.fault:
                skipped.append(skip(match.row, match.row.fault or reason))
            else:
                matches.append(match)
    return matches, skipped


def by_movie(matches: Iterable[MovieMatch]) -> dict[int, list[MovieMatch]]:
    rows = defaultdict[int, list[MovieMatch]](list)
    for match in matches:
        rows[match.movie_id].append(match)
    return dict(rows)


def with_conflicts(matches: Sequence[MovieMatch]) -> Iterator[tuple[MovieMatch, str]]:
    """Yield the matches of a movie, each with the reason why its row is of another movie, or ''."""
    near = [match.row.year for match in matches if match.by is MatchedBy.TITLE_AND_NEAR_YEAR]
    all_near = len(near) == len(matches)
    one_is_written = any(match.as_written for match in matches)
    for match in matches:
        if match.by is MatchedBy.TITLE_AND_NEAR_YEAR and not (all_near and len(set(near)) == 1):
            yield match, NEAR_YEARS if all_near else OTHER_YEAR
        elif match.by is MatchedBy.TITLE_AND_YEAR and one_is_written and not match.as_written:
            yield match, OTHER_TITLE
        else:
            yield match, ""


def match_of(row: Row, index: MovieIndex) -> MovieMatch | str:
    """Match one row regardless of the others, or return the reason why it matches no movie."""
    named = index.with_ids_of(row)
    if len(named) > 1:
        return IDS_DIFFER
    if named:
        return (
            ID_OF_OTHER if has_id_of_other_site(row, named[0]) else MovieMatch(row, named[0].id, MatchedBy.ID)
        )
    if row.nameless or not row.titles:
        return row.nameless or NO_ID
    row = with_year(row)
    return NO_YEAR if row.year is None else match_by_title(row, row.year, index)


def match_by_title(row: Row, year: int, index: MovieIndex) -> MovieMatch | str:
    possible = index.with_title_of(row, year)
    same_year = [card for card in possible if card.year == year]
    if len(same_year) > 1:
        same_year = [card for card in same_year if is_written(row, main_names_of(card))] or same_year
    if len(same_year) == 1:
        card = same_year[0]
        return MovieMatch(row, card.id, MatchedBy.TITLE_AND_YEAR, is_written(row, names_of(card)))
    if len(possible) > 1:
        return SEVERAL
    # An id that is not in the catalog may belong to another movie of a year earlier or later.
    if possible and not row.has_id and is_written(row, main_names_of(possible[0])):
        return MovieMatch(row, possible[0].id, MatchedBy.TITLE_AND_NEAR_YEAR)
    return NO_MOVIE


def with_year(row: Row) -> Row:
    """The row with the year in its title, if it has no other."""
    if row.year is not None:
        return row
    years = {parsed(title)[2] for title in row.titles} - {None}
    return replace(row, year=years.pop()) if len(years) == 1 else row


def has_id_of_other_site(row: Row, card: NamedMovie) -> bool:
    """Whether a `movieId` is another site's id: the movie with it has another title and year."""
    if not row.foreign or not row.titles:
        return False
    year = with_year(row).year
    same_year = year is not None and card.year is not None and abs(card.year - year) <= 1
    names = {fold(name) for name in names_of(card)}
    return not same_year and names.isdisjoint(map(fold, titles_of(with_year(row))))


def skip(row: Row, reason: str) -> Skipped:
    return Skipped(row.line, row.shown, reason, row.file)
