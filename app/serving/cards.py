"""Movie cards: everything the API shows of a movie, read from Postgres."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.engine import Sessions
from app.db.tables import ALTERNATIVE_TITLES

ROWS_AT_ONCE = 1000  # the event loop runs between two batches

MOVIES = f"""
SELECT movies.id, title, original_title, year, release_date, runtime_minutes, overview, original_language,
    countries, keywords, collection, poster_path, tagline, backdrop_path, trailer_url, certification,
    localized_titles, imdb_id, tmdb_id, movielens_id,
    ARRAY(SELECT genre_id FROM movie_genres WHERE movie_id = movies.id) AS genre_ids,
    ARRAY(SELECT person_id FROM credits WHERE movie_id = movies.id AND kind = 'DIRECTOR' ORDER BY position)
        AS director_ids,
    ARRAY(SELECT person_id FROM credits WHERE movie_id = movies.id AND kind = 'CAST' ORDER BY position)
        AS cast_ids,
    ARRAY(SELECT character FROM credits WHERE movie_id = movies.id AND kind = 'CAST' ORDER BY position)
        AS characters,
    {ALTERNATIVE_TITLES} AS alternative_titles,
    ARRAY(SELECT ARRAY[named.source, named.external_id] FROM movie_external_ids AS named
          WHERE named.movie_id = movies.id ORDER BY named.source) AS external_ids,
    CASE WHEN attributes <> '{{}}' THEN attributes::text END AS attributes,
    hidden_at IS NOT NULL AS hidden,
    coalesce(rating_count, 0) AS rating_count, coalesce(half_stars_sum, 0) AS half_stars_sum
FROM movies LEFT JOIN movie_stats ON movie_stats.movie_id = movies.id
"""  # noqa: S608 - constants
GENRES = """
SELECT id, name, (SELECT count(*) FROM movie_genres WHERE genre_id = genres.id) AS movie_count
FROM genres ORDER BY name
"""


@dataclass(frozen=True, slots=True)
class GenreRow:
    id: int
    name: str
    movie_count: int


@dataclass(frozen=True, slots=True)
class PersonRow:
    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Card:
    """A movie as the API shows it. Its counts, which change more often, are in arrays of the snapshot."""

    id: int
    title: str
    original_title: str | None
    year: int | None
    release_date: date | None
    runtime_minutes: int | None
    overview: str | None
    original_language: str | None
    countries: tuple[str, ...]
    keywords: tuple[str, ...]
    collection: str | None
    poster_path: str | None
    imdb_id: str | None
    tmdb_id: int | None
    movielens_id: int | None
    genres: tuple[GenreRow, ...]
    directors: tuple[PersonRow, ...]
    cast: tuple[tuple[PersonRow, str | None], ...]
    alternative_titles: tuple[str, ...]  # neither the title nor the original title
    external_ids: tuple[tuple[str, str], ...]  # source and id, by source
    attributes: str | None  # as JSON; None if there are none
    tagline: str | None = None
    backdrop_path: str | None = None
    trailer_url: str | None = None
    certification: str | None = None
    localized_titles: tuple[tuple[str, str], ...] = ()  # languages and the title in each
    hidden: bool = False  # from all lists


async def read(session: AsyncSession, statement: str, **parameters: object) -> list[Any]:
    """Read all rows of a statement in batches."""
    rows: list[Any] = []
    result = await session.stream(text(statement), parameters)
    async for part in result.partitions(ROWS_AT_ONCE):
        rows += part
    return rows


async def read_movies(sessions: Sessions, movie_ids: Sequence[int]) -> dict[int, tuple[Card, int, int]]:
    """Read movies, each with its rating count and sum of half-stars. Unknown ids are left out."""
    async with sessions() as session:
        movies = await read(session, MOVIES + "WHERE movies.id = ANY(:movie_ids)", movie_ids=list(movie_ids))
        if not movies:
            return {}
        genres = {row.id: GenreRow(*row) for row in await session.execute(text(GENRES))}
        ids = [id_ for movie in movies for id_ in (*movie.director_ids, *movie.cast_ids)]
        rows = await read(session, "SELECT id, name FROM people WHERE id = ANY(:ids)", ids=ids)
    people = {row.id: PersonRow(*row) for row in rows}
    return {
        movie.id: (card_of(movie, genres, people), movie.rating_count, movie.half_stars_sum)
        for movie in movies
    }


def card_of(movie: Any, genres: Mapping[int, GenreRow], people: Mapping[int, PersonRow]) -> Card:
    """Make a card from a row of MOVIES."""
    return Card(
        id=movie.id,
        title=movie.title,
        original_title=movie.original_title,
        year=movie.year,
        release_date=movie.release_date,
        runtime_minutes=movie.runtime_minutes,
        overview=movie.overview,
        original_language=movie.original_language,
        countries=tuple(movie.countries),
        keywords=tuple(movie.keywords),
        collection=movie.collection,
        poster_path=movie.poster_path,
        imdb_id=movie.imdb_id,
        tmdb_id=movie.tmdb_id,
        movielens_id=movie.movielens_id,
        genres=tuple(sorted((genres[id_] for id_ in movie.genre_ids), key=lambda genre: genre.name)),
        directors=tuple(people[id_] for id_ in movie.director_ids),
        cast=tuple(zip((people[id_] for id_ in movie.cast_ids), movie.characters, strict=True)),
        alternative_titles=tuple(movie.alternative_titles),
        tagline=movie.tagline,
        backdrop_path=movie.backdrop_path,
        trailer_url=movie.trailer_url,
        certification=movie.certification,
        localized_titles=tuple(movie.localized_titles.items()),
        external_ids=tuple((source, external_id) for source, external_id in movie.external_ids),
        attributes=movie.attributes,
        hidden=movie.hidden,
    )
