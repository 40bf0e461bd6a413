"""Store movies in Postgres: add new ones and complete stored ones."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from psycopg import sql
from psycopg.types.json import Jsonb

from recommender.progress import Progress
from seeds.files.report import Count
from seeds.movies import NOT_GENRES, Credit, Movie, MovieIndex, SourceTitle, all_titles
from seeds.store.bulk_copy import Connection, Cursor
from seeds.store.people import People

_COLUMNS = (
    "title", "original_title", "year", "release_date", "runtime_minutes", "original_language", "countries",
    "overview", "keywords", "collection", "poster_path", "tagline", "backdrop_path", "trailer_url",
    "certification", "localized_titles", "popularity", "vote_average", "vote_count",
    "movielens_id", "tmdb_id", "imdb_id",
)  # fmt: skip
_READ = """
SELECT id, title, original_title, year, release_date, runtime_minutes, original_language, countries, overview,
    keywords, collection, poster_path, tagline, backdrop_path, trailer_url, certification, localized_titles,
    popularity::float8, vote_average::float8, vote_count,
    movielens_id, tmdb_id, imdb_id,
    ARRAY(SELECT name FROM movie_genres JOIN genres ON id = genre_id WHERE movie_id = movies.id),
    ARRAY(SELECT ARRAY[name, character, tmdb_id::text] FROM credits JOIN people ON people.id = person_id
          WHERE movie_id = movies.id AND kind = 'DIRECTOR' ORDER BY position),
    ARRAY(SELECT ARRAY[name, character, tmdb_id::text] FROM credits JOIN people ON people.id = person_id
          WHERE movie_id = movies.id AND kind = 'CAST' ORDER BY position),
    ARRAY(SELECT ARRAY[title, source] FROM movie_titles WHERE movie_id = movies.id)
FROM movies ORDER BY id
"""
_PROGRESS_STEP = 1000


@dataclass(frozen=True, slots=True)
class StoredMovies:
    movie_ids: list[int]  # id in the database of each movie, in the order they were passed
    count: Count


def read_movies(cursor: Cursor) -> tuple[list[int], list[Movie]]:
    """Read ids and movies of the whole catalog, ordered by id."""
    ids, movies = [], []
    for movie_id, *values, genres, directors, cast, titles in cursor.execute(_READ):
        facts: dict[str, Any] = {name: _as_tuple(value) for name, value in zip(_COLUMNS, values, strict=True)}
        ids.append(movie_id)
        movies.append(
            Movie(
                **facts,
                genres=tuple(sorted(genres)),
                directors=_credits(directors),
                cast=_credits(cast),
                titles=all_titles(SourceTitle(*title) for title in titles),
            )
        )
    return ids, movies


def store_movies(
    connection: Connection, movies: Sequence[Movie], *, authority: bool, progress: Progress
) -> StoredMovies:
    """Store the movies in the open transaction; records of the same movie are merged.

    `authority`: whether their fields take precedence over stored ones; see `seeds.movies.merge`.
    """
    with connection.cursor() as cursor:
        people = People(cursor)
        ids, known = read_movies(cursor)
        index = MovieIndex(known)
        numbers = []
        for done, movie in enumerate(movies):
            numbers.append(_take_in(index, _as_stored(movie, people), authority=authority))
            if done % _PROGRESS_STEP == 0:
                progress("matching movies", done / len(movies))
        changed = [number for number, movie in enumerate(known) if index.movies[number] != movie]
        added = range(len(known), len(index.movies))
        ids += _new_ids(cursor, "movies", len(added))
        progress("storing movies", 0.0)
        written = [(ids[n], index.movies[n]) for n in (*changed, *added)]
        people.write(cursor, (credit for _, movie in written for credit in movie.directors + movie.cast))
        # Before the update, whose trigger reads the source of a title that it replaces.
        _write_titles(cursor, [(ids[n], index.movies[n].titles, known[n].titles) for n in changed])
        if changed:
            _update(cursor, [(ids[n], index.movies[n]) for n in changed])
        if added:
            _copy_movies(cursor, "movies", [(ids[n], index.movies[n]) for n in added])
            _write_titles(cursor, [(ids[n], index.movies[n].titles, ()) for n in added])
        _write_genres(cursor, written)
        _write_credits(cursor, written, people)
        progress("storing movies", 1.0)
    matched = {number for number in numbers if number < len(known)}
    count = Count(added=len(added), updated=len(changed), unchanged=len(matched - set(changed)))
    return StoredMovies([ids[number] for number in numbers], count)


def _take_in(index: MovieIndex, movie: Movie, *, authority: bool) -> int:
    """Add a movie to the index, or merge it into one there; return its number."""
    number = index.find(movie)
    if number is None:
        return index.add(movie)
    index.update(number, movie, authority=authority)
    return number


def _as_stored(movie: Movie, people: People) -> Movie:
    """Convert a movie to the form in which it is read back, for comparison."""
    return replace(
        movie,
        genres=tuple(sorted({name for name in movie.genres if name.strip().lower() not in NOT_GENRES})),
        directors=tuple(people.resolve(credit) for credit in movie.directors),
        cast=tuple(people.resolve(credit) for credit in movie.cast),
        titles=all_titles(movie.titles),
        popularity=_real(movie.popularity),
        vote_average=_real(movie.vote_average),
    )


def _real(value: float | None) -> float | None:
    return None if value is None else float(np.float32(value))


def _credits(rows: Iterable[Sequence[str | None]]) -> tuple[Credit, ...]:
    return tuple(
        Credit(str(name), character, int(tmdb_id) if tmdb_id else None) for name, character, tmdb_id in rows
    )


def _new_ids(cursor: Cursor, table: str, n: int) -> list[int]:
    cursor.execute("SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)", (table, n))
    return [row[0] for row in cursor.fetchall()]


def _update(cursor: Cursor, movies: list[tuple[int, Movie]]) -> None:
    cursor.execute(
        sql.SQL("CREATE TEMPORARY TABLE changed_movies AS SELECT id, {} FROM movies WITH NO DATA").format(
            sql.SQL(", ").join(map(sql.Identifier, _COLUMNS))
        )
    )
    _copy_movies(cursor, "changed_movies", movies)
    cursor.execute(
        sql.SQL(
            "UPDATE movies SET ({columns}) = ({values}), updated_at = now() FROM changed_movies changed "
            "WHERE movies.id = changed.id"
        ).format(
            columns=sql.SQL(", ").join(map(sql.Identifier, _COLUMNS)),
            values=sql.SQL(", ").join(sql.Identifier("changed", column) for column in _COLUMNS),
        )
    )
    changed = [movie_id for movie_id, _ in movies]
    cursor.execute("DELETE FROM movie_genres WHERE movie_id = ANY(%s)", (changed,))
    cursor.execute("DELETE FROM credits WHERE movie_id = ANY(%s)", (changed,))
    cursor.execute("DROP TABLE changed_movies")


def _copy_movies(cursor: Cursor, table: str, movies: list[tuple[int, Movie]]) -> None:
    statement = sql.SQL("COPY {} (id, {}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, _COLUMNS))
    )
    with cursor.copy(statement) as copy:
        for movie_id, movie in movies:
            copy.write_row((movie_id, *(_value(movie, column) for column in _COLUMNS)))


def _as_tuple(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple(sorted(value.items()))
    return tuple(value) if isinstance(value, list) else value


def _value(movie: Movie, column: str) -> Any:
    value = getattr(movie, column)
    if column == "localized_titles":
        return Jsonb(dict(value))
    return list(value) if isinstance(value, tuple) else value


def _write_titles(
    cursor: Cursor, movies: list[tuple[int, tuple[SourceTitle, ...], tuple[SourceTitle, ...]]]
) -> None:
    """Add titles, from (movie id, all titles, stored titles). Stored titles are not removed."""
    rows = [(movie_id, *title) for movie_id, titles, stored in movies for title in set(titles) - set(stored)]
    if rows:  # an empty COPY would increment the catalog's revision
        with cursor.copy("COPY movie_titles (movie_id, title, source) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)


def _write_genres(cursor: Cursor, movies: list[tuple[int, Movie]]) -> None:
    known: dict[str, int] = dict(cursor.execute("SELECT name, id FROM genres").fetchall())
    missing = sorted({genre for _, movie in movies for genre in movie.genres} - known.keys())
    if missing:
        cursor.execute("INSERT INTO genres (name) SELECT unnest(%s::text[]) RETURNING name, id", (missing,))
        known.update(cursor.fetchall())
    if any(movie.genres for _, movie in movies):
        with cursor.copy("COPY movie_genres (movie_id, genre_id) FROM STDIN") as copy:
            for movie_id, movie in movies:
                for genre in movie.genres:
                    copy.write_row((movie_id, known[genre]))


def _write_credits(cursor: Cursor, movies: list[tuple[int, Movie]], people: People) -> None:
    if not any(movie.directors or movie.cast for _, movie in movies):
        return
    with cursor.copy("COPY credits (movie_id, kind, position, person_id, character) FROM STDIN") as copy:
        for movie_id, movie in movies:
            for kind, credits_ in (("DIRECTOR", movie.directors), ("CAST", movie.cast)):
                for position, credit in enumerate(credits_):
                    person_id = people.id_of(credit)
                    copy.write_row((movie_id, kind, position, person_id, credit.character))
