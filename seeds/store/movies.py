"""Films into Postgres: those that are new are added, those known already are completed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from psycopg import sql

from seeds.files.report import Count, Progress
from seeds.movies import NOT_GENRES, Credit, Film, FilmIndex, SourceTitle, all_titles
from seeds.store.bulk_copy import Connection, Cursor
from seeds.store.people import People

_COLUMNS = (
    "title", "original_title", "year", "release_date", "runtime_minutes", "original_language", "countries",
    "overview", "keywords", "collection", "poster_path", "popularity", "vote_average", "vote_count",
    "movielens_id", "tmdb_id", "imdb_id",
)  # fmt: skip
_READ = """
SELECT id, title, original_title, year, release_date, runtime_minutes, original_language, countries, overview,
    keywords, collection, poster_path, popularity::float8, vote_average::float8, vote_count,
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
class StoredFilms:
    movie_ids: list[int]  # the database's id of each film given, in their order
    count: Count


def read_films(cursor: Cursor) -> tuple[list[int], list[Film]]:
    """Ids and films of the whole catalogue, ordered by id."""
    ids, films = [], []
    for movie_id, *values, genres, directors, cast, titles in cursor.execute(_READ):
        facts: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in zip(_COLUMNS, values, strict=True)
        }
        ids.append(movie_id)
        films.append(
            Film(
                **facts,
                genres=tuple(sorted(genres)),
                directors=_credits(directors),
                cast=_credits(cast),
                titles=all_titles(SourceTitle(*each) for each in titles),
            )
        )
    return ids, films


def store_films(
    connection: Connection, films: Sequence[Film], *, authority: bool, progress: Progress
) -> StoredFilms:
    """Store the films in the open transaction; several that are the same one become one.

    `authority` says whether their facts go before those stored; see `seeds.films.merge`.
    """
    with connection.cursor() as cursor:
        people = People(cursor)
        ids, known = read_films(cursor)
        index = FilmIndex(known)
        numbers = []
        for done, film in enumerate(films):
            numbers.append(_take_in(index, _as_stored(film, people), authority=authority))
            if done % _PROGRESS_STEP == 0:
                progress("matching films", done / len(films))
        changed = [number for number, film in enumerate(known) if index.films[number] != film]
        added = range(len(known), len(index.films))
        ids += _new_ids(cursor, "movies", len(added))
        progress("storing films", 0.0)
        written = [(ids[n], index.films[n]) for n in (*changed, *added)]
        people.write(cursor, (credit for _, film in written for credit in film.directors + film.cast))
        # Before the update, so that its trigger finds the source of a title that it replaces.
        _write_titles(cursor, [(ids[n], index.films[n].titles, known[n].titles) for n in changed])
        if changed:
            _update(cursor, [(ids[n], index.films[n]) for n in changed])
        if added:
            _copy_movies(cursor, "movies", [(ids[n], index.films[n]) for n in added])
            _write_titles(cursor, [(ids[n], index.films[n].titles, ()) for n in added])
        _write_genres(cursor, written)
        _write_credits(cursor, written, people)
        progress("storing films", 1.0)
    met = {number for number in numbers if number < len(known)}
    count = Count(added=len(added), updated=len(changed), unchanged=len(met - set(changed)))
    return StoredFilms([ids[number] for number in numbers], count)


def _take_in(index: FilmIndex, film: Film, *, authority: bool) -> int:
    number = index.find(film)
    if number is None:
        return index.add(film)
    index.update(number, film, authority=authority)
    return number


def _as_stored(film: Film, people: People) -> Film:
    """The film as it would be read back, so that it can be compared."""
    return replace(
        film,
        genres=tuple(sorted({name for name in film.genres if name.strip().lower() not in NOT_GENRES})),
        directors=tuple(people.resolve(credit) for credit in film.directors),
        cast=tuple(people.resolve(credit) for credit in film.cast),
        titles=all_titles(film.titles),
        popularity=_real(film.popularity),
        vote_average=_real(film.vote_average),
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


def _update(cursor: Cursor, films: list[tuple[int, Film]]) -> None:
    cursor.execute(
        sql.SQL("CREATE TEMPORARY TABLE changed_movies AS SELECT id, {} FROM movies WITH NO DATA").format(
            sql.SQL(", ").join(map(sql.Identifier, _COLUMNS))
        )
    )
    _copy_movies(cursor, "changed_movies", films)
    cursor.execute(
        sql.SQL(
            "UPDATE movies SET ({columns}) = ({values}), updated_at = now() FROM changed_movies changed "
            "WHERE movies.id = changed.id"
        ).format(
            columns=sql.SQL(", ").join(map(sql.Identifier, _COLUMNS)),
            values=sql.SQL(", ").join(sql.Identifier("changed", column) for column in _COLUMNS),
        )
    )
    changed = [movie_id for movie_id, _ in films]
    cursor.execute("DELETE FROM movie_genres WHERE movie_id = ANY(%s)", (changed,))
    cursor.execute("DELETE FROM credits WHERE movie_id = ANY(%s)", (changed,))
    cursor.execute("DROP TABLE changed_movies")


def _copy_movies(cursor: Cursor, table: str, films: list[tuple[int, Film]]) -> None:
    statement = sql.SQL("COPY {} (id, {}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, _COLUMNS))
    )
    with cursor.copy(statement) as copy:
        for movie_id, film in films:
            copy.write_row((movie_id, *(_value(film, column) for column in _COLUMNS)))


def _value(film: Film, column: str) -> Any:
    value = getattr(film, column)
    return list(value) if isinstance(value, tuple) else value


def _write_titles(
    cursor: Cursor, films: list[tuple[int, tuple[SourceTitle, ...], tuple[SourceTitle, ...]]]
) -> None:
    """Add the titles of (movie id, all titles, titles stored). A stored one stays."""
    rows = [(movie_id, *each) for movie_id, titles, stored in films for each in set(titles) - set(stored)]
    if rows:  # an empty COPY would count the catalog's revision
        with cursor.copy("COPY movie_titles (movie_id, title, source) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)


def _write_genres(cursor: Cursor, films: list[tuple[int, Film]]) -> None:
    known: dict[str, int] = dict(cursor.execute("SELECT name, id FROM genres").fetchall())
    missing = sorted({genre for _, film in films for genre in film.genres} - known.keys())
    if missing:
        cursor.execute("INSERT INTO genres (name) SELECT unnest(%s::text[]) RETURNING name, id", (missing,))
        known.update(cursor.fetchall())
    if any(film.genres for _, film in films):
        with cursor.copy("COPY movie_genres (movie_id, genre_id) FROM STDIN") as copy:
            for movie_id, film in films:
                for genre in film.genres:
                    copy.write_row((movie_id, known[genre]))


def _write_credits(cursor: Cursor, films: list[tuple[int, Film]], people: People) -> None:
    if not any(film.directors or film.cast for _, film in films):
        return
    with cursor.copy("COPY credits (movie_id, kind, position, person_id, character) FROM STDIN") as copy:
        for movie_id, film in films:
            for kind, credits_ in (("DIRECTOR", film.directors), ("CAST", film.cast)):
                for position, credit in enumerate(credits_):
                    person_id = people.id_of(credit)
                    copy.write_row((movie_id, kind, position, person_id, credit.character))
