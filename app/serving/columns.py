"""Columns of all movies, for filters and sort orders."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Self

import numpy as np
from numpy.typing import NDArray

from app.serving.cards import Card, GenreRow, PersonRow
from recommender.interactions import positions
from recommender.row_mapping import RowMapping
from seeds.titles import fold_case

UNKNOWN_YEAR = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """Columns aligned with n movies.

    `titles`: folded. `title_ranks` float64: equal for equal titles. `years` int16: 0 if unknown.
    `release_days` float64: ordinals since the year 1, nan if unknown. `language_idx` int16: values of
    `languages`, -1 if unknown. `has_genre` bool (n_genres, n). `hidden` bool: from all lists.
    """

    titles: list[str]
    title_ranks: NDArray[np.float64]
    years: NDArray[np.int16]
    release_days: NDArray[np.float64]
    languages: dict[str, int]
    language_idx: NDArray[np.int16]
    has_genre: NDArray[np.bool_]
    hidden: NDArray[np.bool_]

    @classmethod
    def of(cls, cards: Sequence[Card], genres: Sequence[GenreRow]) -> Self:
        titles = [fold_case(card.title) for card in cards]
        codes = {card.original_language for card in cards if card.original_language}
        languages = {code: i for i, code in enumerate(sorted(codes))}
        row_of = {genre.id: row for row, genre in enumerate(genres)}
        has_genre = np.zeros((len(genres), len(cards)), np.bool_)
        for position, card in enumerate(cards):
            has_genre[[row_of[genre.id] for genre in card.genres], position] = True
        return cls(
            titles=titles,
            title_ranks=ranks(titles),
            years=np.array([card.year or UNKNOWN_YEAR for card in cards], np.int16),
            release_days=np.array([release_day(card) for card in cards], np.float64),
            languages=languages,
            language_idx=np.array(
                [languages.get(card.original_language or "", -1) for card in cards], np.int16
            ),
            has_genre=has_genre,
            hidden=np.array([card.hidden for card in cards], np.bool_),
        )

    def with_genres(self, before: Sequence[GenreRow], genres: Sequence[GenreRow]) -> Self:
        """Return the facts with a row of `has_genre` for each of `genres`, in their order."""
        rows = {genre.id: row for row, genre in enumerate(before)}
        if list(rows) == [genre.id for genre in genres]:
            return self
        none = np.zeros(len(self.titles), np.bool_)
        found = [self.has_genre[rows[genre.id]] if genre.id in rows else none for genre in genres]
        return replace(self, has_genre=np.stack(found) if found else self.has_genre[:0])

    def with_rows(self, rows: RowMapping, cards: Sequence[Card], genres: Sequence[GenreRow]) -> Self:
        """Return the columns after `rows`, with `cards` at `rows.fresh`. `genres` must be unchanged."""
        fresh = type(self).of(cards, genres)
        titles = rows.spread_list(self.titles, fresh.titles)
        languages = self.languages | {
            code: len(self.languages) + i
            for i, code in enumerate(code for code in fresh.languages if code not in self.languages)
        }
        code_of = np.array([*(languages[code] for code in fresh.languages), -1], np.int16)
        return type(self)(
            titles=titles,
            title_ranks=ranks(titles),
            years=rows.spread(self.years, fresh.years),
            release_days=rows.spread(self.release_days, fresh.release_days),
            languages=languages,
            language_idx=rows.spread(self.language_idx, code_of[fresh.language_idx]),
            has_genre=np.ascontiguousarray(rows.spread(self.has_genre.T, fresh.has_genre.T).T),
            hidden=rows.spread(self.hidden, fresh.hidden),
        )


@dataclass(frozen=True, slots=True)
class People:
    """Index from people to their movies.

    The movies of `ids[i]` are `movie_positions[starts[i]:starts[i + 1]]`. `ids` int64 (n_people,) ascending;
    `starts` int64 (n_people + 1,); `movie_positions` int32 (n_credits,).
    """

    rows: dict[int, PersonRow]
    ids_by_name: dict[str, tuple[int, ...]]  # by folded name, which several people may share
    ids: NDArray[np.int64]
    starts: NDArray[np.int64]
    movie_positions: NDArray[np.int32]

    @classmethod
    def of(cls, cards: Sequence[Card], rows: dict[int, PersonRow]) -> Self:
        person_ids: list[int] = []
        movie_positions: list[int] = []
        for position, card in enumerate(cards):
            involved = {person.id for person in card.directors}.union(player.id for player, _ in card.cast)
            person_ids += involved
            movie_positions += [position] * len(involved)
        everyone = np.array(person_ids, np.int64)
        in_order = np.argsort(everyone, kind="stable")
        ids, starts = np.unique(everyone[in_order], return_index=True)
        by_name: dict[str, tuple[int, ...]] = {}
        for id_ in ids.tolist():
            name = fold_case(rows[id_].name)
            by_name[name] = (*by_name.get(name, ()), id_)
        where = np.array(movie_positions, np.int32)[in_order]
        return cls(rows, by_name, ids, np.append(starts, everyone.size), where)

    def with_rows(self, rows: RowMapping, cards: Sequence[Card], people: dict[int, PersonRow]) -> Self:
        """Return the index after `rows`, with `cards` at `rows.fresh`."""
        fresh = type(self).of(cards, people)
        everyone = np.concatenate((
            np.repeat(self.ids, np.diff(self.starts)), np.repeat(fresh.ids, np.diff(fresh.starts)),
        ))  # fmt: skip
        where = np.concatenate((rows.moved[self.movie_positions], rows.fresh[fresh.movie_positions]))
        everyone, where = everyone[where >= 0], where[where >= 0]
        in_order = np.argsort(everyone, kind="stable")
        ids, starts = np.unique(everyone[in_order], return_index=True)
        by_name = dict(self.ids_by_name)
        for name, fresh_ids in fresh.ids_by_name.items():
            by_name[name] = tuple(sorted({*by_name.get(name, ()), *fresh_ids}))
        starts = np.append(starts, everyone.size)
        return type(self)(self.rows | people, by_name, ids, starts, where[in_order].astype(np.int32))

    def movies_of(self, name: str) -> NDArray[np.int32]:
        """Positions of the movies that people with this name directed or played in."""
        found = positions(self.ids, self.ids_by_name.get(fold_case(name), ()))
        parts = [self.movie_positions[self.starts[i] : self.starts[i + 1]] for i in found[found >= 0]]
        return np.concatenate(parts) if parts else np.empty(0, np.int32)


def release_day(card: Card) -> float:
    """The ordinal of the release date; January 1 if only the year is known, nan without it."""
    if card.release_date is not None:
        return card.release_date.toordinal()
    return date(card.year, 1, 1).toordinal() if card.year else np.nan


def ranks(titles: Sequence[str]) -> NDArray[np.float64]:
    """Rank the titles, float64 (n,); equal titles share a rank."""
    rank_of = {title: rank for rank, title in enumerate(sorted(set(titles)))}
    return np.array([rank_of[title] for title in titles], np.float64)
