"""Fixtures on a database for one test: settings, sessions, a catalog, sent statements."""

import random
from collections.abc import AsyncIterator
from datetime import date

import pytest
from sqlalchemy import insert, text

from app.db import tables
from app.db.engine import Sessions, create_engine, sessionmaker
from app.settings import Settings
from tests.statements import noted_statements

GENRES = ("Action", "Comedy", "Drama", "Horror", "Western", "Film-Noir")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def settings(database_url: str) -> Settings:
    return Settings.model_validate(
        {"database_url": database_url, "secret_key": "a secret of the tests, long enough"}
    )


@pytest.fixture
async def sessions(database_url: str, settings: Settings) -> AsyncIterator[Sessions]:
    engine = create_engine(database_url, settings)
    yield sessionmaker(engine)
    await engine.dispose()


@pytest.fixture
async def catalogue(sessions: Sessions) -> Sessions:
    """300 random movies with ratings, with missing attributes; the same on each run."""
    rng = random.Random(7)  # noqa: S311 - not for secrets
    people = [
        {"id": id_, "tmdb_id": id_, "name": f"Person {id_ % 25}"} for id_ in range(1, 31)
    ]  # five share a name with another
    genres = [{"id": id_, "name": name} for id_, name in enumerate(GENRES, 1)]
    movies, of_genres, played, stats = [], [], [], []
    for id_ in range(1, 301):
        year = rng.choice([None, *range(1990, 2000)])
        released = None if year is None else rng.choice([None, date(year, rng.randint(1, 12), 5)])
        language = rng.choice([None, "en", "fr", "ja"])
        title = f"{rng.choice(['The', 'An', 'Élan', 'alpha'])} {rng.choice(['Été', 'night', 'Zoo'])}"
        movies.append(
            {"id": id_, "title": title, "year": year, "release_date": released, "original_language": language}
        )
        of_genres += [
            {"movie_id": id_, "genre_id": genre["id"]} for genre in rng.sample(genres, rng.randint(0, 3))
        ]
        played += [
            {
                "movie_id": id_,
                "kind": rng.choice(["DIRECTOR", "CAST"]),
                "position": place,
                "person_id": who["id"],
            }
            for place, who in enumerate(rng.sample(people, rng.randint(0, 4)))
        ]
        if rng.random() < 0.7:
            count = rng.randint(0, 6)
            total = sum(rng.randint(1, 10) for _ in range(count))
            stats.append({"movie_id": id_, "rating_count": count, "half_stars_sum": total})
    async with sessions.begin() as session:
        await session.execute(insert(tables.Person), people)
        await session.execute(insert(tables.Genre), genres)
        await session.execute(insert(tables.Movie), movies)
        await session.execute(insert(tables.MovieGenre), of_genres)
        await session.execute(insert(tables.Credit), played)
        await session.execute(insert(tables.MovieStats), stats)
        await session.execute(text("SELECT setval('movies_id_seq', 1000)"))
    return sessions


@pytest.fixture
def statements(sessions: Sessions) -> list[str]:
    """Appends each statement that is sent to the database."""
    return noted_statements(sessions)
