"""Stored movies that the rows of a batch may name, and the choice among them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from app.catalog.batches.rows import MovieRow
from app.catalog.edit import MovieExists
from app.catalog.validation import NO_TITLE, InvalidMovie, camel

Connection = psycopg.Connection[tuple[Any, ...]]

# Columns of `movies` that a row may set, with their types.
COLUMNS = {
    "title": "text",
    "original_title": "text",
    "localized_titles": "jsonb",
    "year": "smallint",
    "release_date": "date",
    "runtime_minutes": "smallint",
    "original_language": "text",
    "countries": "text[]",
    "overview": "text",
    "keywords": "text[]",
    "collection": "text",
    "poster_path": "text",
    "backdrop_path": "text",
    "trailer_url": "text",
    "tagline": "text",
    "certification": "text",
    "popularity": "real",
    "vote_average": "real",
    "vote_count": "bigint",
    "imdb_id": "text",
    "tmdb_id": "bigint",
    "movielens_id": "bigint",
    "attributes": "jsonb",
}
LISTS = ("genres", "directors", "cast")
IDS = ("imdb_id", "tmdb_id", "movielens_id")
_READ = f"""
SELECT movies.id, named.external_id, {", ".join(COLUMNS)},
    ARRAY(SELECT name FROM movie_genres JOIN genres ON genres.id = genre_id WHERE movie_id = movies.id),
    ARRAY(SELECT name FROM credits JOIN people ON people.id = person_id
        WHERE movie_id = movies.id AND kind = 'DIRECTOR' ORDER BY position),
    ARRAY(SELECT name FROM credits JOIN people ON people.id = person_id
        WHERE movie_id = movies.id AND kind = 'CAST' ORDER BY position)
FROM movies LEFT JOIN movie_external_ids AS named ON named.movie_id = movies.id AND named.source = %(source)s
WHERE movies.id IN (
    SELECT movie_id FROM movie_external_ids WHERE source = %(source)s AND external_id = ANY(%(external_ids)s)
    UNION ALL SELECT id FROM movies WHERE imdb_id = ANY(%(imdb_ids)s)
    UNION ALL SELECT id FROM movies WHERE tmdb_id = ANY(%(tmdb_ids)s)
    UNION ALL SELECT id FROM movies WHERE movielens_id = ANY(%(movielens_ids)s)
)
"""  # noqa: S608 - constants
SINGLE, PRECISION = ("popularity", "vote_average"), 1e-6  # reals of Postgres


@dataclass(slots=True)
class Known:
    """A stored movie, or one that the batch adds. `external_id`: of the batch's source."""

    id: int | None
    external_id: str | None
    facts: dict[str, Any]
    position: int | None = None  # of the row that changes it
    changed: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Movies:
    """Movies by their ids in the batch's source and elsewhere."""

    by_external_id: dict[str, Known] = field(default_factory=dict)
    by_id: dict[tuple[str, Any], Known] = field(default_factory=dict)  # by the column and its value

    def add(self, movie: Known) -> None:
        if movie.external_id is not None:
            self.by_external_id[movie.external_id] = movie
        for column in IDS:
            if movie.facts.get(column) is not None:
                self.by_id[column, movie.facts[column]] = movie

    def take(self, row: MovieRow) -> Known:
        """The movie of a row, changed by it. Raises InvalidMovie or MovieExists; then nothing is changed.

        It is the movie with the row's external id; else one with an IMDb, TMDB or MovieLens id of the row
        and without an external id of this source; else a new one.
        """
        given = {column: row.facts[column] for column in IDS if row.facts.get(column) is not None}
        owners = {each[0]: self.by_id[each] for each in given.items() if each in self.by_id}
        movie = self.by_external_id.get(row.external_id)
        if movie is None:
            movie = self._unnamed(owners)
        for column, owner in owners.items():
            if owner is not movie:
                raise MovieExists(f"{camel(column)}: another movie has this id.")
        if movie is None:
            if "title" not in row.facts:
                raise InvalidMovie(NO_TITLE)
            movie = Known(None, None, {})
        self._change(movie, row)
        return movie

    @staticmethod
    def _unnamed(owners: Mapping[str, Known]) -> Known | None:
        for column, owner in owners.items():
            if owner.external_id is not None:
                raise MovieExists(
                    f"{camel(column)}: another movie of this source, {owner.external_id}, has this id."
                )
            return owner
        return None

    def _change(self, movie: Known, row: MovieRow) -> None:
        movie.position = row.position
        movie.changed = {
            name for name, value in row.facts.items() if not same(name, movie.facts.get(name), value)
        }
        if movie.external_id is None:
            movie.external_id = row.external_id
            movie.changed.add("external_id")
        movie.facts.update(row.facts)
        self.add(movie)


def same(name: str, one: Any, other: Any) -> bool:
    if name == "genres":
        return one is not None and set(map(str.casefold, one)) == set(map(str.casefold, other))
    if name in SINGLE and one is not None and other is not None:
        return bool(abs(one - other) <= PRECISION * abs(other))
    if name in ("countries", "keywords", "directors", "cast", "localized_titles", "attributes"):
        return bool((one or type(other)()) == other)
    return bool(one == other)


def read(connection: Connection, source: str, rows: Sequence[MovieRow]) -> Movies:
    """Read the movies that rows may name, in one statement."""
    found = Movies()
    ids: dict[str, list[Any]] = {
        f"{column}s": _distinct(row.facts.get(column) for row in rows) for column in IDS
    }
    params = {"source": source, "external_ids": [row.external_id for row in rows], **ids}
    for movie_id, external_id, *values in connection.execute(_READ.encode(), params):
        found.add(Known(movie_id, external_id, dict(zip((*COLUMNS, *LISTS), values, strict=True))))
    return found


def _distinct(values: Iterable[Any]) -> list[Any]:
    return list({value for value in values if value is not None})
