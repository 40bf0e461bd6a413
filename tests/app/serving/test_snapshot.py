"""The catalog snapshot equals Postgres and follows its changes."""

import random
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from sqlalchemy import delete, insert, text, update

from app.activity import ratings
from app.db import activity_tables, tables
from app.db.engine import Sessions
from app.serving import snapshot
from app.serving.snapshot import MovieFilter

pytestmark = pytest.mark.anyio

# The filter as SQL.
FILTERED = text(
    """
    SELECT movies.id FROM movies LEFT JOIN movie_stats ON movie_stats.movie_id = movies.id
    WHERE (SELECT count(*) FROM movie_genres JOIN genres ON genres.id = genre_id
            WHERE movie_id = movies.id AND name = ANY(:genres)) = cardinality(CAST(:genres AS text[]))
        AND NOT EXISTS (SELECT FROM movie_genres JOIN genres ON genres.id = genre_id
            WHERE movie_id = movies.id AND name = ANY(:exclude_genres))
        AND (CAST(:year_from AS int) IS NULL OR year >= :year_from)
        AND (CAST(:year_to AS int) IS NULL OR year <= :year_to)
        AND (cardinality(CAST(:languages AS text[])) = 0 OR original_language = ANY(:languages))
        AND (CAST(:min_rating AS float8) IS NULL
            OR half_stars_sum / 2.0 / nullif(rating_count, 0) >= CAST(:min_rating AS float8))
        AND (CAST(:min_rating_count AS int) IS NULL OR coalesce(rating_count, 0) >= :min_rating_count)
        AND (SELECT count(DISTINCT lower(name)) FROM credits JOIN people ON people.id = person_id
            WHERE movie_id = movies.id AND lower(name) = ANY(:people)) = cardinality(CAST(:people AS text[]))
    ORDER BY movies.id
    """
)


def random_filter(rng: random.Random) -> MovieFilter:
    def some(values: list[Any], most: int) -> tuple[Any, ...]:
        return tuple(rng.sample(values, rng.randint(0, most))) if rng.random() < 0.4 else ()

    def one(values: list[Any]) -> Any:
        return rng.choice(values) if rng.random() < 0.3 else None

    genres = ["Action", "Comedy", "Drama", "Horror", "Western", "Film-Noir", "no such genre"]
    return MovieFilter(
        genres=some(genres, 2),
        exclude_genres=some(genres, 2),
        year_from=one([1992, 1995, 1999, -5]),
        year_to=one([1992, 1995, 1999, 99_999]),
        languages=some(["en", "fr", "ja", "xx"], 3),
        min_rating=one([0, 2.5, 3.0, 3.25, 5]),
        min_rating_count=one([0, 1, 3, 6]),
        people=some([f"PERSON {number}" for number in range(8)] + ["nobody"], 2),
    )


async def test_any_filter_matches_the_same_filter_in_sql(catalogue: Sessions) -> None:
    movies = await snapshot.load(catalogue)
    rng = random.Random(1)  # noqa: S311 - not for secrets
    kept = []
    async with catalogue() as session:
        for _ in range(300):
            wanted = random_filter(rng)
            named = {
                name: list(value) if isinstance(value, tuple) else value
                for name, value in asdict(wanted).items()
            }
            named["people"] = [name.lower() for name in wanted.people]
            expected = (await session.scalars(FILTERED, named)).all()
            assert movies.movie_ids[movies.mask(wanted)].tolist() == expected, wanted
            kept.append(len(expected))
    assert sum(0 < count < len(movies.cards) for count in kept) > 100  # the filter is not empty


async def test_the_caller_may_change_a_mask(catalogue: Sessions) -> None:
    movies = await snapshot.load(catalogue)
    movies.mask(MovieFilter(genres=("Comedy",)))[:] = True
    movies.mask(MovieFilter())[:] = False
    assert movies.mask(MovieFilter()).all()
    assert not movies.mask(MovieFilter(genres=("Comedy",))).all()


async def test_cards_have_all_attributes_of_a_movie(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        await session.execute(insert(tables.Genre), [{"id": 1, "name": "War"}, {"id": 2, "name": "Drama"}])
        await session.execute(insert(tables.Person), [{"id": 1, "name": "Ada"}, {"id": 2, "name": "Bob"}])
        await session.execute(
            insert(tables.Movie).values(
                id=5, title="Ran", original_title="乱", year=1985, countries=["JP", "FR"]
            )
        )
        await session.execute(insert(tables.MovieGenre), [{"movie_id": 5, "genre_id": id_} for id_ in (1, 2)])
        credited = [("DIRECTOR", 0, 2, None), ("CAST", 0, 2, "Hidetora"), ("CAST", 1, 1, None)]
        await session.execute(
            insert(tables.Credit),
            [
                {"movie_id": 5, "kind": kind, "position": place, "person_id": who, "character": character}
                for kind, place, who, character in credited
            ],
        )
    movies = await snapshot.load(sessions)
    (card,) = movies.cards
    assert (card.id, card.title, card.original_title, card.countries) == (5, "Ran", "乱", ("JP", "FR"))
    assert [(genre.name, genre.movie_count) for genre in card.genres] == [("Drama", 1), ("War", 1)]
    assert [person.name for person in card.directors] == ["Bob"]
    assert [(person.name, character) for person, character in card.cast] == [
        ("Bob", "Hidetora"),
        ("Ada", None),
    ]
    assert movies.people.movies_of("bob").tolist() == [0]


async def test_an_unchanged_snapshot_takes_one_statement(catalogue: Sessions, statements: list[str]) -> None:
    movies = await snapshot.load(catalogue)
    statements.clear()
    assert await snapshot.refreshed(catalogue, movies) is movies
    assert len(statements) == 1


async def test_a_rating_changes_only_the_counts(catalogue: Sessions) -> None:
    movies = await snapshot.load(catalogue)
    user_id = await a_member(catalogue)
    count, total = movies.rating_count.copy(), movies.half_stars_sum.copy()
    await ratings.rate(catalogue, user_id, 42, 4.5)
    fresh = await snapshot.refreshed(catalogue, movies)
    assert fresh.movie_ids is movies.movie_ids
    assert fresh.cards is movies.cards
    position = fresh.position(42)
    assert position is not None
    assert fresh.rating_count[position] == count[position] + 1
    assert fresh.half_stars_sum[position] == total[position] + 9
    assert np.array_equal(movies.rating_count, count)  # the former snapshot does not change
    others = np.arange(len(count)) != position
    assert np.array_equal(fresh.rating_count[others], count[others])
    await ratings.remove(catalogue, user_id, 42)
    again = await snapshot.refreshed(catalogue, fresh)
    assert np.array_equal(again.rating_count, count)
    assert np.array_equal(again.half_stars_sum, total)


async def test_a_rating_that_is_committed_late_is_counted(catalogue: Sessions) -> None:
    movies = await snapshot.load(catalogue)
    ada, bob = await a_member(catalogue), await a_member(catalogue)
    position = movies.position(7)
    assert position is not None
    before = movies.rating_count[position]
    async with catalogue.begin() as slow:
        await slow.execute(insert(activity_tables.Rating).values(user_id=ada, movie_id=7, half_stars=3))
        await ratings.rate(catalogue, bob, 8, 4)
        movies = await snapshot.refreshed(catalogue, movies)
        assert movies.rating_count[position] == before
    movies = await snapshot.refreshed(catalogue, movies)
    assert movies.rating_count[position] == before + 1


async def test_rows_are_not_read_again_forever(catalogue: Sessions) -> None:
    movies = await snapshot.load(catalogue)
    await ratings.rate(catalogue, await a_member(catalogue), 7, 3)
    movies = await snapshot.refreshed(catalogue, movies)
    aged = replace(movies, since=movies.since - 3 * snapshot.LONGEST_RATING)
    moved_on = await snapshot.refreshed(catalogue, aged)
    assert moved_on.since > aged.since
    assert await snapshot.refreshed(catalogue, moved_on) is moved_on


async def test_a_new_title_keeps_the_positions_of_movies(catalogue: Sessions) -> None:
    movies = await snapshot.load(catalogue)
    async with catalogue.begin() as session:
        await session.execute(update(tables.Movie).where(tables.Movie.id == 5).values(title="Another Title"))
    fresh = await snapshot.refreshed(catalogue, movies)
    assert fresh.movie_ids is movies.movie_ids
    position = fresh.position(5)
    assert position is not None
    assert fresh.cards[position].title == "Another Title"
    assert movies.cards[position].title != "Another Title"


async def test_movies_are_added_and_deleted(catalogue: Sessions) -> None:
    movies = await snapshot.load(catalogue)
    async with catalogue.begin() as session:
        await session.execute(insert(tables.Movie).values(id=2000, title="New"))
        await session.execute(delete(tables.Movie).where(tables.Movie.id == 5))
    fresh = await snapshot.refreshed(catalogue, movies)
    assert fresh.position(5) is None
    assert fresh.position(2000) == len(fresh.cards) - 1
    assert fresh.positions([5, 2000, 4]).tolist() == [-1, len(fresh.cards) - 1, movies.position(4)]
    assert fresh.movie_ids.tolist() == [card.id for card in fresh.cards]


async def test_an_empty_catalog_is_valid(sessions: Sessions) -> None:
    movies = await snapshot.load(sessions)
    assert movies.mask(MovieFilter(genres=("Comedy",), people=("Ada",), languages=("en",))).tolist() == []
    assert movies.positions([1]).tolist() == [-1]
    assert isinstance(movies.since, datetime)


async def a_member(sessions: Sessions) -> int:
    async with sessions.begin() as session:
        name = f"member-{uuid4().hex}"
        statement = insert(tables.User).values(username=name).returning(tables.User.id)
        return (await session.scalars(statement)).one()
