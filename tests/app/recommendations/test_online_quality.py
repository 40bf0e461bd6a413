"""The quality of shown lists, against the same figures computed one list at a time."""

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from sqlalchemy import insert, select, text

from app.db.activity_tables import Feedback
from app.db.engine import Sessions
from app.db.tables import MovieGenre, MovieStats, User
from app.recommendations.online_quality import OnlineQuality, online_quality, popular_from
from app.serving import snapshot as catalog

pytestmark = pytest.mark.anyio
HOUR = timedelta(hours=1)


async def store(sessions: Sessions, events: list[dict[str, Any]]) -> None:
    async with sessions.begin() as session:
        await session.execute(
            insert(User), [{"id": id_, "username": f"user{id_}", "password_hash": "x"} for id_ in (1, 2)]
        )
        await session.execute(insert(Feedback), events)


def event(user_id: int, number: int, movie_id: int, kind: str, minutes: float = 1) -> dict[str, Any]:
    at = datetime.now(UTC) - timedelta(minutes=minutes)
    return {
        "user_id": user_id,
        "request_id": UUID(int=number),
        "movie_id": movie_id,
        "kind": kind,
        "occurred_at": at,
        "received_at": at,
        "watched_fraction": 0.5 if kind == "WATCH" else None,
    }


async def diversity_of(sessions: Sessions, lists: list[list[int]]) -> float:
    """The mean over lists of one minus the mean cosine similarity of the pairs."""
    genres: dict[int, set[int]] = defaultdict(set)
    async with sessions() as session:
        for row in await session.execute(select(MovieGenre.movie_id, MovieGenre.genre_id)):
            genres[row.movie_id].add(row.genre_id)

    def similarity(one: int, other: int) -> float:
        return len(genres[one] & genres[other]) / float(np.sqrt(len(genres[one]) * len(genres[other])))

    with_genres = [[movie for movie in movies if genres[movie]] for movies in lists]
    means = [
        np.mean([similarity(*pair) for pair in combinations(movies, 2)])
        for movies in with_genres
        if len(movies) > 1
    ]
    return 1 - float(np.mean(means))


async def test_figures_equal_those_of_each_list(catalogue: Sessions) -> None:
    rng = random.Random(3)  # noqa: S311 - not for secrets
    lists = [rng.sample(range(1, 301), 12) for _ in range(20)]
    events = []
    for number, movies in enumerate(lists):
        user_id = 1 + number % 2
        events += [event(user_id, number, movie, "IMPRESSION") for movie in movies]
        if number < 5:
            events += [event(user_id, number, movie, "CLICK") for movie in movies[:2]]
        if number < 2:
            events.append(event(user_id, number, movies[0], "WATCH"))
    await store(catalogue, events)
    snapshot = await catalog.load(catalogue)
    found = await online_quality(catalogue, snapshot, HOUR)
    async with catalogue() as session:
        counts = dict((await session.execute(select(MovieStats.movie_id, MovieStats.rating_count))).all())
    popular = popular_from(snapshot)
    shown = [movie for movies in lists for movie in movies]
    assert (found.lists, found.click_rate, found.watch_rate) == (20, 0.25, 0.1)
    assert found.coverage == pytest.approx(len(set(shown)) / 300)
    assert found.popular_share == pytest.approx(
        sum(counts.get(movie, 0) >= popular for movie in shown) / len(shown)
    )
    assert found.diversity == pytest.approx(await diversity_of(catalogue, lists))


async def test_only_events_of_shown_lists_within_the_window_count(catalogue: Sessions) -> None:
    events = [
        event(1, 1, 10, "IMPRESSION"),
        event(1, 2, 11, "CLICK"),  # of a list that was not reported as shown
        event(1, 3, 12, "IMPRESSION", minutes=61),
        event(1, 3, 12, "CLICK", minutes=61),
        event(2, 1, 10, "LIKE"),
        {**event(2, 4, 13, "IMPRESSION"), "request_id": None},
    ]
    await store(catalogue, events)
    snapshot = await catalog.load(catalogue)
    found = await online_quality(catalogue, snapshot, HOUR)
    assert (found.lists, found.click_rate) == (1, 0)
    assert found.coverage == pytest.approx(1 / 300)
    assert found.diversity is None  # one movie has no pair
    longer = await online_quality(catalogue, snapshot, 2 * HOUR)
    assert (longer.lists, longer.click_rate) == (2, 0.5)


async def test_without_lists_there_are_no_shares(catalogue: Sessions) -> None:
    snapshot = await catalog.load(catalogue)
    found = await online_quality(catalogue, snapshot, HOUR)
    assert found == OnlineQuality(0, None, None, None, None, None)


async def test_an_index_finds_the_events_of_the_window(catalogue: Sessions) -> None:
    async with catalogue() as session:
        await session.execute(text("SET LOCAL enable_seqscan = off"))
        await session.execute(text("SET LOCAL enable_indexscan = off"))
        statement = "EXPLAIN SELECT * FROM feedback WHERE received_at > now() - interval '1 hour'"
        plan = "\n".join((await session.scalars(text(statement))).all())
    assert "feedback_received_at_brin_idx" in plan


async def test_promoted_movies_do_not_count(catalogue: Sessions) -> None:
    organic, promoted = 7, 8
    shown = [event(1, number, movie, "IMPRESSION") for number in (1, 2) for movie in (organic, promoted)]
    clicks = [event(1, 1, promoted, "CLICK"), event(1, 2, organic, "CLICK"), event(1, 2, promoted, "WATCH")]
    await store(catalogue, [*shown, *clicks, event(2, 3, promoted, "IMPRESSION")])
    async with catalogue.begin() as session:
        await session.execute(text("CREATE TABLE lists_of_test PARTITION OF served_lists DEFAULT"))
        for number, user_id in ((1, 1), (2, 1), (3, 2)):
            served = text(
                """
                INSERT INTO served_lists (served_at, id, request_id, user_id, field, model_version,
                    model_state, history_at, parameters, inputs, movie_ids, ranks, scores, promoted)
                VALUES (now(), gen_random_uuid(), :request_id, :user_id, 'recommendations', 'v', :request_id,
                    now(), '{}', '', '{7,8}', '{1,2}', '{1,1}', '{8}')
                """
            )
            await session.execute(served, {"request_id": UUID(int=number), "user_id": user_id})
    found = await online_quality(catalogue, await catalog.load(catalogue), HOUR)
    assert (found.lists, found.click_rate, found.watch_rate) == (2, 0.5, 0.0)
    assert found.coverage == pytest.approx(1 / 300)
