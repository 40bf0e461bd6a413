"""Add, change and remove movies, each in one transaction with the movie's vector.

Each transaction records its movie in `catalog_changes`, so that other processes re-read only that movie. This
process has re-read it when the function returns.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import psycopg.errors
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.activity.ratings import MovieNotFound
from app.catalog.validation import InvalidMovie, camel, checked
from app.db.engine import Sessions
from app.db.movie_features import MOVIES, movies_of
from app.db.tables import CatalogChange, CatalogRevision, Credit, Genre, Movie, MovieGenre, MovieStats
from app.db.training_tables import ModelVersion
from app.serving.live import Live
from app.serving.model import Model
from recommender.model.content import vectors_of

ATTEMPTS = 3  # while a new model is loading
LISTS = ("genres", "directors", "cast")
EXTERNAL = {f"movies_{column}_key": column for column in ("imdb_id", "tmdb_id", "movielens_id")}

# People with a TMDB id come first, since they are more likely meant.
PEOPLE = """
SELECT DISTINCT ON (name) name, id FROM people WHERE name = ANY(:names) ORDER BY name, tmdb_id IS NULL, id
"""
NEW_PEOPLE = """
INSERT INTO people (name) SELECT DISTINCT unnest(CAST(:names AS text[]))
ON CONFLICT (name) WHERE tmdb_id IS NULL DO NOTHING
"""
VECTOR = """
INSERT INTO movie_vectors (movie_id, embedding, model_version)
VALUES (:movie_id, CAST(:embedding AS vector), :version)
ON CONFLICT (movie_id) DO UPDATE SET embedding = excluded.embedding, model_version = excluded.model_version
"""
# Changes since the training of the active model are kept for processes that start later.
FORGET_CHANGES = """
DELETE FROM catalog_changes WHERE changed_at < least(now() - interval '1 hour',
    (SELECT trained_at - interval '1 hour' FROM model_versions WHERE status = 'ACTIVE'))
"""


class MovieExists(Exception):
    """Another movie has this id of another site. An expected failure; its message is shown to the client."""


class ModelChanging(Exception):
    """A new model was activated that this process does not serve yet."""


async def add(sessions: Sessions, live: Live, fields: Mapping[str, Any]) -> int:
    """Add a movie with these fields (see `validation.checked`). Returns its id.

    Raises InvalidMovie, MovieExists or ModelChanging.
    """
    facts = checked(fields, complete=True)

    async def act(session: AsyncSession) -> int:
        columns = {name: value for name, value in facts.items() if name not in LISTS}
        movie_id: int = (
            await session.execute(insert(Movie).values(columns).returning(Movie.id))
        ).scalar_one()
        await _set_lists(session, movie_id, facts)
        return movie_id

    return await _changed(sessions, live, act)


async def change(sessions: Sessions, live: Live, movie_id: int, fields: Mapping[str, Any]) -> int:
    """Change these fields of a movie; None clears a field. Returns its id.

    Raises MovieNotFound, InvalidMovie, MovieExists or ModelChanging.
    """
    facts = checked(fields)

    async def act(session: AsyncSession) -> int:
        columns = {name: value for name, value in facts.items() if name not in LISTS}
        found = await session.execute(
            update(Movie)
            .where(Movie.id == movie_id)
            .values(updated_at=func.now(), **columns)
            .returning(Movie.id)
        )
        if found.one_or_none() is None:
            raise MovieNotFound("There is no movie with this id.")
        await _set_lists(session, movie_id, facts)
        return movie_id

    return await _changed(sessions, live, act)


async def remove(sessions: Sessions, live: Live, movie_id: int) -> int:
    """Remove a movie with all rows that refer to it. Returns the number of ratings deleted.

    Raises MovieNotFound or ModelChanging.
    """
    n_ratings = 0

    async def act(session: AsyncSession) -> int:
        nonlocal n_ratings
        counted = select(MovieStats.rating_count).where(MovieStats.movie_id == movie_id)
        n_ratings = await session.scalar(counted) or 0
        deleted = await session.scalar(delete(Movie).where(Movie.id == movie_id).returning(Movie.id))
        if deleted is None:
            raise MovieNotFound("There is no movie with this id.")
        return movie_id

    await _changed(sessions, live, act)
    return n_ratings


async def _changed(sessions: Sessions, live: Live, act: Callable[[AsyncSession], Awaitable[int]]) -> int:
    """Run `act`, embed the movie whose id it returns, and record the change, in one transaction."""
    for _ in range(ATTEMPTS):
        try:
            async with sessions.begin() as session:
                model = await _served_model(session, live)
                since = await session.scalar(select(CatalogRevision.revision).with_for_update())
                movie_id = await act(session)
                if model is not None:
                    await _embed(session, model, movie_id)
                until = await session.scalar(select(CatalogRevision.revision))
                record = insert(CatalogChange).values(since=since, until=until, movie_id=movie_id)
                await session.execute(record)
                await session.execute(text(FORGET_CHANGES))
        except ModelChanging:
            await live.refresh()
        except IntegrityError as error:
            raise _taken(error) from error
        else:
            await live.refresh()
            return movie_id
    raise ModelChanging("A new model is loading: retry in a moment.")


async def _served_model(session: AsyncSession, live: Live) -> Model | None:
    """The active model, locked until the transaction ends. Raises ModelChanging if another one is served."""
    active = select(ModelVersion.version).where(ModelVersion.status == "ACTIVE").with_for_update(read=True)
    version = await session.scalar(active)
    model = live.served.model
    if version != (model and model.version):
        raise ModelChanging
    return model


async def _embed(session: AsyncSession, model: Model, movie_id: int) -> None:
    row = (await session.execute(text(MOVIES + "WHERE id = :id"), {"id": movie_id})).one_or_none()
    if row is None:
        return
    (vector,) = vectors_of(model.hybrid.encoder.transform(movies_of([tuple(row)])))
    if vector.any():
        embedding = str(vector.tolist())
        params = {"movie_id": movie_id, "embedding": embedding, "version": model.version}
        await session.execute(text(VECTOR), params)


async def _set_lists(session: AsyncSession, movie_id: int, facts: Mapping[str, Any]) -> None:
    if "genres" in facts:
        await _set_genres(session, movie_id, facts["genres"])
    for kind, name in (("DIRECTOR", "directors"), ("CAST", "cast")):
        if name in facts:
            await _set_credits(session, movie_id, kind, facts[name])


async def _set_genres(session: AsyncSession, movie_id: int, names: list[str]) -> None:
    ids = {row.name: row.id for row in await session.execute(select(Genre.name, Genre.id))}
    if unknown := [name for name in names if name not in ids]:
        raise InvalidMovie(f"genres: there is no genre {unknown[0]!r}; there are {', '.join(sorted(ids))}.")
    await session.execute(delete(MovieGenre).where(MovieGenre.movie_id == movie_id))
    if names:
        rows = [{"movie_id": movie_id, "genre_id": ids[name]} for name in names]
        await session.execute(insert(MovieGenre), rows)


async def _set_credits(session: AsyncSession, movie_id: int, kind: str, names: list[str]) -> None:
    of_kind = (Credit.movie_id == movie_id, Credit.kind == kind)
    played = await session.execute(select(Credit.person_id, Credit.character).where(*of_kind))
    characters = {row.person_id: row.character for row in played}  # of people who stay
    await session.execute(delete(Credit).where(*of_kind))
    if not names:
        return
    found = {row.name: row.id for row in await session.execute(text(PEOPLE), {"names": names})}
    if missing := [name for name in names if name not in found]:
        await session.execute(text(NEW_PEOPLE), {"names": missing})
        found |= {row.name: row.id for row in await session.execute(text(PEOPLE), {"names": missing})}
    rows = [
        {
            "movie_id": movie_id,
            "kind": kind,
            "position": position,
            "person_id": found[name],
            "character": characters.get(found[name]),
        }
        for position, name in enumerate(names)
    ]
    await session.execute(insert(Credit), rows)


def _taken(error: IntegrityError) -> Exception:
    if isinstance(error.orig, psycopg.errors.UniqueViolation):
        column = EXTERNAL.get(error.orig.diag.constraint_name or "")
        if column is not None:
            return MovieExists(f"{camel(column)}: another movie has this id.")
    return error
