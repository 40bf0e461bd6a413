"""Find the movies that events name, by the rules of imports, in a copy of the catalog."""

import time
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import class_row

from app.db.tables import ALTERNATIVE_TITLES
from app.ingest.matching import MovieIndex, MovieMatch, match_of
from app.ingest.pieces import at_once
from app.ingest.rows import Row
from app.ingest.stream_events import MovieName

RELOAD_SECONDS = 5.0  # shortest time between two reloads, which read the whole catalog
CACHED_NAMES = 200_000

MOVIES = f"""
SELECT id, title, original_title, year, runtime_minutes, imdb_id, tmdb_id, movielens_id,
    {ALTERNATIVE_TITLES} AS alternative_titles
FROM movies ORDER BY id
"""  # noqa: S608 - constants
EXTERNAL_IDS = "SELECT source, external_id, movie_id FROM movie_external_ids"
Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class CatalogMovie:
    id: int
    title: str
    original_title: str | None
    year: int | None
    runtime_minutes: int | None
    imdb_id: str | None
    tmdb_id: int | None
    movielens_id: int | None
    alternative_titles: tuple[str, ...]


@dataclass(slots=True)
class StreamMovies:
    """The catalog, reloaded when it has changed, with a cache of the names found in it.

    A movie that `find` returns may have been deleted since the last reload.
    """

    revision: int = -1
    loaded_at: float = float("-inf")
    by_id: dict[int, CatalogMovie] = field(default_factory=dict)
    by_external_id: dict[tuple[str, str], int] = field(default_factory=dict)
    index: MovieIndex = field(default_factory=lambda: MovieIndex(()))
    found: dict[MovieName, CatalogMovie | str] = field(default_factory=dict)

    def refresh(self, connection: Connection, *, at_once: bool = False) -> None:
        """Read the catalog if it has changed; not within RELOAD_SECONDS, unless `at_once`."""
        [revision] = connection.execute("SELECT revision FROM catalog_revision").fetchone() or (-1,)
        if revision == self.revision or (not at_once and time.monotonic() < self.loaded_at + RELOAD_SECONDS):
            return
        self._load(connection, revision)

    def _load(self, connection: Connection, revision: int) -> None:
        with connection.cursor(row_factory=class_row(CatalogMovie)) as cursor:
            movies = cursor.execute(MOVIES).fetchall()
        self.by_id = {movie.id: movie for movie in movies}
        named = connection.execute(EXTERNAL_IDS).fetchall()
        self.by_external_id = {(source, external_id): movie_id for source, external_id, movie_id in named}
        self.index = at_once(MovieIndex.of(movies))
        self.found.clear()
        self.revision, self.loaded_at = revision, time.monotonic()

    def find(self, name: MovieName) -> CatalogMovie | str:
        """The movie with this name, or the rule that the name breaks."""
        movie = self.found.get(name)
        if movie is None:
            movie = self._find(name)
            if len(self.found) >= CACHED_NAMES:
                self.found.clear()
            self.found[name] = movie
        return movie

    def _find(self, name: MovieName) -> CatalogMovie | str:
        if name.movie_id is not None:
            return self.by_id.get(name.movie_id, "No movie in the catalog has its id.")
        if name.external_id is not None:
            movie_id = self.by_external_id.get(name.external_id, 0)
            return self.by_id.get(movie_id, f"No movie has its id in the source {name.external_id[0]}.")
        row = Row(
            line=0,
            titles=(name.title,) if name.title else (),
            year=name.year,
            imdb_id=name.imdb_id,
            tmdb_id=name.tmdb_id,
            movielens_id=name.movielens_id,
        )
        match = match_of(row, self.index)
        return self.by_id[match.movie_id] if isinstance(match, MovieMatch) else match
