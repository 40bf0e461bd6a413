"""Find movies by their ids: of this service, of another system, or of a site."""

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import text

from app.catalog.validation import InvalidMovie, an_id
from app.db.array_literals import array_literal
from app.db.engine import Sessions

_FIND = text(
    """
    SELECT 'id' AS kind, '' AS source, id::text AS value, id AS movie_id FROM movies
    WHERE id = ANY(CAST(:id AS bigint[]))
    UNION ALL SELECT 'imdb_id', '', imdb_id, id FROM movies WHERE imdb_id = ANY(CAST(:imdb_id AS text[]))
    UNION ALL SELECT 'tmdb_id', '', tmdb_id::text, id FROM movies
    WHERE tmdb_id = ANY(CAST(:tmdb_id AS bigint[]))
    UNION ALL SELECT 'movielens_id', '', movielens_id::text, id FROM movies
    WHERE movielens_id = ANY(CAST(:movielens_id AS bigint[]))
    UNION ALL SELECT 'external_id', source, external_id, movie_id FROM movie_external_ids
    JOIN unnest(CAST(:sources AS text[]), CAST(:external_id AS text[])) AS given (source, external_id)
        USING (source, external_id)
    """
)
NUMBERS = ("tmdb_id", "movielens_id")


class Key(NamedTuple):
    """An id of a movie. kind: `id`, `external_id` with its source, `imdb_id`, `tmdb_id` or `movielens_id`."""

    kind: str
    value: int | str
    source: str = ""


async def movie_ids(sessions: Sessions, keys: Sequence[Key]) -> list[int | None]:
    """The ids of movies by their keys, in one statement; None for an unknown one."""
    parameters = await asyncio.to_thread(_parameters, keys)
    async with sessions() as session:
        rows = await session.execute(_FIND, parameters)
        found = {(row.kind, row.source, row.value): row.movie_id for row in rows}
    return [found.get((key.kind, key.source, _plain(key))) for key in keys]


def _parameters(keys: Sequence[Key]) -> dict[str, Any]:
    values: dict[str, list[str]] = {
        kind: [] for kind in ("id", "imdb_id", *NUMBERS, "external_id", "sources")
    }
    for key in keys:
        if (plain := _plain(key)) is not None:
            values[key.kind].append(plain)
            if key.kind == "external_id":
                values["sources"].append(key.source)
    return {name: array_literal(each) for name, each in values.items()}


def _plain(key: Key) -> str | None:
    """The value as Postgres shows it; None for one that no movie can have."""
    value = str(key.value)
    if key.kind in NUMBERS:
        try:
            return str(an_id(value))
        except InvalidMovie:
            return None
    return value if f"{value}{key.source}".isprintable() else None
