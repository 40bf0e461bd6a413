"""Store a batch of movies: one statement for each table, in the open transaction.

Each movie is stored as a whole or not at all. What is stored already is not written again.
"""

from collections.abc import Iterable, Sequence

import orjson

from app.catalog.batches import known
from app.catalog.batches.known import COLUMNS, Connection, Known
from app.catalog.batches.rows import MovieRow, RowOutcome, RowStatus, refused
from app.catalog.edit import NEW_PEOPLE, PEOPLE, MovieExists
from app.catalog.validation import InvalidMovie, empty

MAX_GENRES = 200  # of the catalog; each takes a row of flags over all movies in memory
FULL = f"genres: the catalog has {MAX_GENRES} genres, the most it can have; use one of them."

# Waits for other edits: the movies that a batch names cannot be edited meanwhile.
LOCK = "SELECT revision FROM catalog_revision FOR UPDATE"
_RECORD = ", ".join(f"{name} {type_}" for name, type_ in COLUMNS.items())
_NAMES = ", ".join(COLUMNS)
_IDS = "SELECT nextval(pg_get_serial_sequence('movies', 'id')) FROM generate_series(1, %s)"
_INSERT = f"""
INSERT INTO movies (id, {_NAMES})
SELECT id, {_NAMES} FROM json_to_recordset(%s) AS row (id bigint, {_RECORD}) ORDER BY id
"""  # noqa: S608 - constants
_UPDATE = f"""
UPDATE movies SET ({_NAMES}) = ({", ".join(f"row.{name}" for name in COLUMNS)}), updated_at = now()
FROM json_to_recordset(%s) AS row (id bigint, {_RECORD}) WHERE movies.id = row.id
"""  # noqa: S608 - constants
_EXTERNAL_IDS = """
INSERT INTO movie_external_ids (source, external_id, movie_id)
SELECT %s, * FROM unnest(%s::text[], %s::bigint[])
"""
_NEW_GENRES = "INSERT INTO genres (name) SELECT unnest(%s::text[]) RETURNING name, id"
_GENRES = "INSERT INTO movie_genres (movie_id, genre_id) SELECT * FROM unnest(%s::bigint[], %s::bigint[])"
_FORMER = """
DELETE FROM credits WHERE movie_id = ANY(%s) AND kind = %s RETURNING movie_id, kind, person_id, character
"""
_CREDITS = """
INSERT INTO credits (movie_id, kind, position, person_id, character)
SELECT * FROM unnest(%s::bigint[], %s::text[], %s::smallint[], %s::bigint[], %s::text[])
"""
KINDS = {"directors": "DIRECTOR", "cast": "CAST"}
_people = (PEOPLE.replace(":names", "%(names)s"), NEW_PEOPLE.replace(":names", "%(names)s"))


def store(
    connection: Connection, source: str, rows: Sequence[MovieRow]
) -> tuple[list[RowOutcome], list[int]]:
    """Store rows; return the outcome of each, and the ids of the movies that were added or updated."""
    connection.execute(LOCK)
    movies = known.read(connection, source, rows)
    genres = _Genres(connection)
    taken: list[tuple[MovieRow, Known]] = []
    outcomes: list[RowOutcome] = []
    for given in rows:
        try:
            row = genres.named(given)
            taken.append((row, movies.take(row)))
        except (InvalidMovie, MovieExists) as error:
            outcomes.append(refused(given.position, given.external_id, error))
    added = [movie for _, movie in taken if movie.id is None]
    updated = [movie for _, movie in taken if movie.id is not None and movie.changed]
    states = [(row, movie, _status(movie)) for row, movie in taken]
    for movie, (movie_id,) in zip(
        added, connection.execute(_IDS, (len(added),)) if added else (), strict=True
    ):
        movie.id = movie_id
    _write(connection, source, added, updated, genres)
    outcomes += [RowOutcome(row.position, row.external_id, status, movie.id) for row, movie, status in states]
    return outcomes, [_id(movie) for movie in (*added, *updated)]


def _status(movie: Known) -> RowStatus:
    if movie.id is None:
        return RowStatus.ADDED
    return RowStatus.UPDATED if movie.changed else RowStatus.UNCHANGED


def _id(movie: Known) -> int:
    assert movie.id is not None, "it has been stored"
    return movie.id


def _write(
    connection: Connection, source: str, added: list[Known], updated: list[Known], genres: "_Genres"
) -> None:
    if added:
        connection.execute(_INSERT.encode(), (_records(added),))
    # Also if only a list changes: `updated_at` marks the movie for trainings under way.
    if updated:
        connection.execute(_UPDATE.encode(), (_records(updated),))
    both = [*added, *updated]
    if named := [movie for movie in both if "external_id" in movie.changed]:
        ids = [movie.external_id for movie in named]
        connection.execute(_EXTERNAL_IDS, (source, ids, [_id(movie) for movie in named]))
    genres.write([movie for movie in both if "genres" in movie.changed], {_id(movie) for movie in updated})
    _write_credits(connection, both, {_id(movie) for movie in updated})


def _records(movies: Iterable[Known]) -> str:
    rows = [
        {"id": movie.id} | {name: movie.facts.get(name, empty(name)) for name in COLUMNS} for movie in movies
    ]
    return orjson.dumps(rows).decode()


class _Genres:
    """The genres of the catalog, and new ones, which `write` stores if a movie has them.

    Names are compared without case.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._ids: dict[str, int] = dict(connection.execute("SELECT name, id FROM genres").fetchall())
        self._names = {name.casefold(): name for name in self._ids}

    def named(self, row: MovieRow) -> MovieRow:
        """The row with its genres as they are spelled in the catalog. Raises InvalidMovie."""
        wanted = row.facts.get("genres")
        if not wanted:
            return row
        new = {name.casefold(): name for name in wanted if name.casefold() not in self._names}
        if len(self._names) + len(new) > MAX_GENRES:
            raise InvalidMovie(FULL)
        self._names |= new
        names = list(dict.fromkeys(self._names[name.casefold()] for name in wanted))
        return MovieRow(row.position, row.external_id, {**row.facts, "genres": names})

    def write(self, movies: Sequence[Known], stored: set[int]) -> None:
        used = dict.fromkeys(name for movie in movies for name in movie.facts["genres"])
        if new := [name for name in used if name not in self._ids]:
            self._ids.update(self._connection.execute(_NEW_GENRES, (new,)).fetchall())
        if former := [movie.id for movie in movies if movie.id in stored]:
            self._connection.execute("DELETE FROM movie_genres WHERE movie_id = ANY(%s)", (former,))
        pairs = [(movie.id, self._ids[name]) for movie in movies for name in movie.facts["genres"]]
        if pairs:
            self._connection.execute(_GENRES, tuple(map(list, zip(*pairs, strict=True))))


def _write_credits(connection: Connection, movies: Sequence[Known], stored: set[int]) -> None:
    """Write the changed lists of people. Who stays keeps the name of the character."""
    changed = [(movie, name) for movie in movies for name in KINDS if name in movie.changed]
    characters: dict[tuple[int, str, int], str] = {}
    for name, kind in KINDS.items():
        if former := [movie.id for movie, each in changed if each == name and movie.id in stored]:
            for *credit, character in connection.execute(_FORMER, (former, kind)):
                characters[tuple(credit)] = character
    names = list(dict.fromkeys(person for movie, name in changed for person in movie.facts[name]))
    if not names:
        return
    find, add = (statement.encode() for statement in _people)
    ids: dict[str, int] = dict(connection.execute(find, {"names": names}).fetchall())
    if missing := [name for name in names if name not in ids]:
        connection.execute(add, {"names": missing})
        ids |= dict(connection.execute(find, {"names": missing}).fetchall())
    rows = [
        (movie.id, KINDS[name], position, ids[person], characters.get((_id(movie), KINDS[name], ids[person])))
        for movie, name in changed
        for position, person in enumerate(movie.facts[name])
    ]
    connection.execute(_CREDITS, tuple(map(list, zip(*rows, strict=True))))
