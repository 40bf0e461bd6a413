"""A rating counts at once, exactly once, and until it is removed."""

import asyncio
import random
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, insert, select, text, update

from app.activity import ratings
from app.activity.ratings import Stats
from app.db import activity_tables, tables
from app.db.engine import Sessions

pytestmark = pytest.mark.anyio


async def add_users(sessions: Sessions, n_users: int) -> list[int]:
    names = [{"username": f"member-{number}"} for number in range(n_users)]
    async with sessions.begin() as session:
        return list(
            (await session.scalars(insert(tables.User).values(names).returning(tables.User.id))).all()
        )


async def add_movies(sessions: Sessions, n_movies: int) -> list[int]:
    titles = [{"title": f"Movie {number}"} for number in range(n_movies)]
    async with sessions.begin() as session:
        return list(
            (await session.scalars(insert(tables.Movie).values(titles).returning(tables.Movie.id))).all()
        )


async def test_a_rating_is_returned_with_updated_statistics(sessions: Sessions) -> None:
    ada, bob = await add_users(sessions, 2)
    (movie,) = await add_movies(sessions, 1)
    first = await ratings.rate(sessions, ada, movie, 4.5)
    assert (first.rating.user_id, first.rating.movie_id, first.rating.stars) == (ada, movie, 4.5)
    assert first.stats == Stats(1, 9)
    assert (await ratings.rate(sessions, bob, movie, 0.5)).stats == Stats(2, 10)
    again = await ratings.rate(sessions, ada, movie, 2)
    assert again.stats == Stats(2, 5)
    assert again.rating.rated_at > first.rating.rated_at
    assert await ratings.remove(sessions, bob, movie) == Stats(1, 4)
    assert await ratings.remove(sessions, ada, movie) == Stats(0, 0)


async def test_the_first_giving_is_kept_while_a_rating_is_given_again(sessions: Sessions) -> None:
    (ada,), (movie,) = await add_users(sessions, 1), await add_movies(sessions, 1)
    first = (await ratings.rate(sessions, ada, movie, 4.5)).rating.rated_at

    async def kept() -> datetime | None:
        async with sessions() as session:
            return await session.scalar(select(activity_tables.Rating.first_rated_at))

    assert await kept() is None
    for stars in (2, 3):
        await ratings.rate(sessions, ada, movie, stars)
        assert await kept() == first
    await ratings.remove(sessions, ada, movie)
    await ratings.rate(sessions, ada, movie, 5)
    assert await kept() is None


@pytest.mark.parametrize(
    "stars", [0, 0.3, 0.25, 5.5, 6, -1, float("nan"), float("inf"), -float("inf"), 1e308]
)
async def test_stars_are_0_5_to_5_in_steps_of_0_5(sessions: Sessions, stars: float) -> None:
    (ada,), (movie,) = await add_users(sessions, 1), await add_movies(sessions, 1)
    with pytest.raises(ratings.InvalidStars):
        await ratings.rate(sessions, ada, movie, stars)
    assert await ratings.count_ratings(sessions, ada) == 0


async def test_half_stars_are_stored_exactly(sessions: Sessions) -> None:
    (ada,), (movie,) = await add_users(sessions, 1), await add_movies(sessions, 1)
    for half_stars in range(1, 11):
        assert (await ratings.rate(sessions, ada, movie, half_stars / 2)).rating.stars == half_stars / 2


async def test_missing_movies_and_ratings_are_refused(sessions: Sessions) -> None:
    (ada,), (movie,) = await add_users(sessions, 1), await add_movies(sessions, 1)
    with pytest.raises(ratings.MovieNotFound):
        await ratings.rate(sessions, ada, movie + 1, 4)
    with pytest.raises(ratings.NotRated):
        await ratings.remove(sessions, ada, movie)


async def test_statistics_are_exact_after_concurrent_ratings(sessions: Sessions) -> None:
    users, movies = await add_users(sessions, 8), await add_movies(sessions, 3)

    async def act(user_id: int, seed: int) -> None:
        rng = random.Random(seed)  # noqa: S311 - not for secrets
        for _ in range(12):
            movie = rng.choice(movies)
            if rng.random() < 0.7:
                await ratings.rate(sessions, user_id, movie, rng.randint(1, 10) / 2)
            else:
                with suppress(ratings.NotRated):
                    await ratings.remove(sessions, user_id, movie)

    # Two devices of each member, so that the same rating is also written concurrently.
    await asyncio.gather(*(act(user_id, seed) for seed, user_id in enumerate(users * 2)))
    async with sessions() as session:
        for movie in movies:
            of_movie = activity_tables.Rating.movie_id == movie
            total = func.coalesce(func.sum(activity_tables.Rating.half_stars), 0)
            count, half_stars = (await session.execute(select(func.count(), total).where(of_movie))).one()
            assert await ratings.stats_of(session, movie) == Stats(count, half_stars)
            assert count > 0


async def test_a_history_is_complete_up_to_a_time(sessions: Sessions) -> None:
    (ada, bob), movies = await add_users(sessions, 2), await add_movies(sessions, 4)
    nothing = await ratings.history(sessions, ada)
    assert [column.dtype.name for column in nothing] == ["int64", "int16", "int64"]
    assert [column.size for column in nothing] == [0, 0, 0]
    for movie, stars in zip(movies[::-1], (1, 2, 3, 4), strict=True):
        rated = await ratings.rate(sessions, ada, movie, stars)
    await ratings.rate(sessions, bob, movies[0], 5)
    last = rated.rating.rated_at
    movie_ids, half_stars, rated_at = await ratings.history(sessions, ada, last)
    assert movie_ids.tolist() == movies
    assert half_stars.tolist() == [8, 6, 4, 2]
    assert abs(rated_at[0] - last.timestamp()) <= 0.5
    before, _, _ = await ratings.history(sessions, ada, last - timedelta(microseconds=1))
    everything, _, _ = await ratings.history(sessions, ada)
    assert before.tolist() == movies[1:]
    assert everything.tolist() == movies
    assert (await ratings.rated_since(sessions, [ada], last)).tolist() == []
    assert (await ratings.rated_since(sessions, [ada], last - timedelta(microseconds=1))).tolist() == [
        movies[0]
    ]


async def test_pages_of_ratings_neither_repeat_nor_skip(sessions: Sessions) -> None:
    (ada, bob), movies = await add_users(sessions, 2), await add_movies(sessions, 25)
    for movie in movies:
        await ratings.rate(sessions, ada, movie, 3)
        await ratings.rate(sessions, bob, movie, 3)
    # An import stores many ratings with the same time, so the movie's id decides.
    moment = datetime(2020, 5, 17, 12, 30, 15, 123457, tzinfo=UTC)
    async with sessions.begin() as session:
        imported = activity_tables.Rating.movie_id.in_(movies[5:15])
        await session.execute(update(activity_tables.Rating).where(imported).values(rated_at=moment))
    expected = [*movies[:14:-1], *movies[4::-1], *movies[14:4:-1]]
    for backward in (False, True):
        seen: list[int] = []
        key = None
        while page := await ratings.user_ratings(sessions, ada, 4, key, backward=backward):
            assert {rating.user_id for rating in page} == {ada}
            seen = (
                [row.movie_id for row in page] + seen if backward else seen + [row.movie_id for row in page]
            )
            edge = page[0] if backward else page[-1]
            key = (edge.rated_at, edge.movie_id)
        assert seen == expected
    assert await ratings.count_ratings(sessions, ada) == 25


async def test_ratings_of_many_movies_are_read_together(sessions: Sessions) -> None:
    (ada, bob), movies = await add_users(sessions, 2), await add_movies(sessions, 3)
    await ratings.rate(sessions, ada, movies[0], 2)
    await ratings.rate(sessions, ada, movies[2], 3)
    await ratings.rate(sessions, bob, movies[1], 4)
    found = await ratings.ratings_of(sessions, ada, movies)
    assert {movie_id: rating.stars for movie_id, rating in found.items()} == {movies[0]: 2, movies[2]: 3}
    assert await ratings.ratings_of(sessions, ada, []) == {}


async def test_histograms_count_the_ratings_of_each_movie_from_an_index(sessions: Sessions) -> None:
    users, movies = await add_users(sessions, 6), await add_movies(sessions, 3)
    for user_id, stars in zip(users, (0.5, 3, 3, 4.5, 5, 5), strict=True):
        await ratings.rate(sessions, user_id, movies[0], stars)
    await ratings.rate(sessions, users[0], movies[1], 2)
    found = await ratings.histograms(sessions, [movies[2], *movies])
    assert found == [
        [0] * 10,
        [1, 0, 0, 0, 0, 2, 0, 0, 1, 2],
        [0, 0, 0, 1, 0, 0, 0, 0, 0, 0],
        [0] * 10,
    ]
    async with sessions() as session:
        await session.execute(text("SET LOCAL enable_seqscan = off"))
        await session.execute(text("SET LOCAL enable_bitmapscan = off"))
        counted = (
            "SELECT movie_id, half_stars, count(*) FROM ratings WHERE movie_id = ANY('{1}') GROUP BY 1, 2"
        )
        plan = "\n".join(str(row[0]) for row in await session.execute(text(f"EXPLAIN {counted}")))
    assert "Index Only Scan using ratings_movie_id_half_stars_idx" in plan, plan
