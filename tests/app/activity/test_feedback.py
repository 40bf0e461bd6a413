"""Batches of events are stored completely and once, and read as signals."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, insert, select, text

from app.activity import feedback, ratings
from app.activity.feedback import Event, InvalidFeedback, Kind, Signals
from app.db import activity_tables, tables
from app.db.engine import Sessions
from app.db.reads import sql_of

pytestmark = pytest.mark.anyio

NOW = datetime.now(UTC)


async def add_member(sessions: Sessions, username: str) -> int:
    added = insert(tables.User).values(username=username).returning(tables.User.id)
    async with sessions.begin() as session:
        return (await session.scalars(added)).one()


@pytest.fixture
async def member(sessions: Sessions) -> int:
    return await add_member(sessions, "ada")


@pytest.fixture
async def movies(sessions: Sessions) -> list[int]:
    titles = [{"title": f"Movie {number}"} for number in range(12)]
    async with sessions.begin() as session:
        return list(
            (await session.scalars(insert(tables.Movie).values(titles).returning(tables.Movie.id))).all()
        )


async def stored(sessions: Sessions) -> int:
    async with sessions() as session:
        return await session.scalar(select(func.count()).select_from(activity_tables.Feedback)) or 0


async def signals_of(sessions: Sessions, user_id: int, until: datetime | None = None) -> Signals:
    row = await sessions.reads.row(sql_of(text(feedback.SIGNALS)), feedback.parameters_of(user_id, until))
    assert row is not None
    return feedback.signals_in(*row)


async def graded(sessions: Sessions, user_id: int, until: datetime | None = None) -> dict[int, float]:
    signals = await signals_of(sessions, user_id, until)
    return dict(zip(signals.movie_ids.tolist(), signals.stars.tolist(), strict=True))


async def hidden(sessions: Sessions, user_id: int) -> list[int]:
    return sorted((await signals_of(sessions, user_id)).hidden.tolist())


async def test_an_event_is_stored_unchanged(sessions: Sessions, member: int, movies: list[int]) -> None:
    moment = datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=UTC)
    event = Event(movies[0], Kind.WATCH, uuid4(), 3, 0.5, moment, "once")
    assert await feedback.record(sessions, member, [event, Event(movies[1], Kind.CLICK)]) == 2
    async with sessions() as session:
        first, second = (
            await session.scalars(select(activity_tables.Feedback).order_by(activity_tables.Feedback.id))
        ).all()
    sent = (event.movie_id, "WATCH", event.request_id, 3, 0.5, moment, "once")
    kept = (first.movie_id, first.kind, first.request_id, first.position, first.watched_fraction)
    assert (*kept, first.occurred_at, first.idempotency_key) == sent
    assert (second.movie_id, second.kind, second.request_id, second.idempotency_key) == (
        movies[1],
        "CLICK",
        None,
        None,
    )
    assert NOW <= second.occurred_at <= datetime.now(UTC)


async def test_a_repeated_batch_is_accepted_but_stored_once(
    sessions: Sessions, member: int, movies: list[int]
) -> None:
    batch = [Event(movie, Kind.IMPRESSION, idempotency_key=f"key {movie}") for movie in movies]
    batch.append(batch[0])
    assert await feedback.record(sessions, member, batch) == 13
    # A client without a response retries, concurrently and in another order.
    await asyncio.gather(*(feedback.record(sessions, member, batch[:: 1 - 2 * (n % 2)]) for n in range(6)))
    assert await stored(sessions) == 12
    await feedback.record(sessions, await add_member(sessions, "bob"), batch)
    assert await stored(sessions) == 24


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("movieId", {"movie_id": 0}),
        ("movieId", {"movie_id": 2**62}),
        ("watchedFraction", {"watched_fraction": 1.01}),
        ("watchedFraction", {"watched_fraction": -0.01}),
        ("watchedFraction", {"watched_fraction": float("nan")}),
        ("position", {"position": -1}),
        ("position", {"position": 2**31}),
        ("occurredAt", {"occurred_at": NOW + timedelta(hours=1)}),
        ("occurredAt", {"occurred_at": datetime(1999, 12, 31, tzinfo=UTC)}),
        ("occurredAt", {"occurred_at": datetime.max.replace(tzinfo=UTC)}),
        ("idempotencyKey", {"idempotency_key": ""}),
        ("idempotencyKey", {"idempotency_key": "nul\0"}),
        ("idempotencyKey", {"idempotency_key": "\ud800"}),
        ("idempotencyKey", {"idempotency_key": "x" * 201}),
    ],
)
async def test_one_wrong_event_refuses_the_batch(
    sessions: Sessions, member: int, movies: list[int], field: str, wrong: dict[str, Any]
) -> None:
    batch = [Event(movies[0], Kind.LIKE), Event(**{"movie_id": movies[1], "kind": Kind.WATCH, **wrong})]
    with pytest.raises(InvalidFeedback, match=rf"^events\[1\]\.{field} ") as refused:
        await feedback.record(sessions, member, batch)
    assert (refused.value.index, refused.value.field) == (1, field)
    assert await stored(sessions) == 0


async def test_a_batch_has_at_most_500_events(sessions: Sessions, member: int, movies: list[int]) -> None:
    with pytest.raises(InvalidFeedback, match="500"):
        await feedback.record(sessions, member, [Event(movies[0], Kind.CLICK)] * 501)
    assert await stored(sessions) == 0
    assert await feedback.record(sessions, member, [Event(movies[0], Kind.CLICK)] * 500) == 500
    assert await feedback.record(sessions, member, []) == 0
    assert await stored(sessions) == 500


async def test_events_become_graded_observations(sessions: Sessions, member: int, movies: list[int]) -> None:
    batch = [
        Event(movies[0], Kind.LIKE),
        Event(movies[1], Kind.DISLIKE),
        Event(movies[2], Kind.NOT_INTERESTED),
        Event(movies[3], Kind.WATCH, watched_fraction=0.9),
        Event(movies[4], Kind.WATCH, watched_fraction=0.1),
        Event(movies[5], Kind.WATCH, watched_fraction=0.5),
        Event(movies[6], Kind.WATCH),
        Event(movies[7], Kind.WATCHLIST),
        Event(movies[8], Kind.CLICK),
        Event(movies[9], Kind.IMPRESSION),
    ]
    assert await graded(sessions, member) == {}
    await feedback.record(sessions, member, batch)
    expected = {movies[0]: 4.5, movies[1]: 1.5, movies[2]: 2.0, movies[3]: 4.0, movies[4]: 2.5}
    assert await graded(sessions, member) == expected
    assert await hidden(sessions, member) == [movies[2]]


async def test_the_latest_opinion_counts_and_overrides_watching(
    sessions: Sessions, member: int, movies: list[int]
) -> None:
    earlier, later = NOW - timedelta(days=2), NOW - timedelta(days=1)
    changed, late, movie, pieces = movies[:4]
    batch = [
        Event(changed, Kind.LIKE),
        Event(changed, Kind.DISLIKE),
        Event(late, Kind.LIKE, occurred_at=later),
        Event(late, Kind.DISLIKE, occurred_at=earlier),
        Event(movie, Kind.DISLIKE, occurred_at=earlier),
        Event(movie, Kind.WATCH, watched_fraction=1.0, occurred_at=later),
        Event(pieces, Kind.WATCH, watched_fraction=0.95, occurred_at=earlier),
        Event(pieces, Kind.WATCH, watched_fraction=0.05, occurred_at=later),
    ]
    await feedback.record(sessions, member, batch)
    assert await graded(sessions, member) == {changed: 1.5, late: 4.5, movie: 1.5, pieces: 4.0}
    signals = await signals_of(sessions, member)
    times = dict(zip(signals.movie_ids.tolist(), signals.timestamps.tolist(), strict=True))
    assert abs(times[late] - later.timestamp()) <= 0.5


async def test_a_rating_replaces_events(sessions: Sessions, member: int, movies: list[int]) -> None:
    await feedback.record(
        sessions, member, [Event(movies[0], Kind.LIKE), Event(movies[1], Kind.NOT_INTERESTED)]
    )
    between = datetime.now(UTC)
    await ratings.rate(sessions, member, movies[0], 1)
    await ratings.rate(sessions, member, movies[1], 5)
    assert await graded(sessions, member) == {}
    assert await hidden(sessions, member) == [movies[1]]
    assert await graded(sessions, member, between) == {movies[0]: 4.5, movies[1]: 2.0}


async def test_signals_depend_on_the_time_of_receipt(
    sessions: Sessions, member: int, movies: list[int]
) -> None:
    await feedback.record(sessions, member, [Event(movies[0], Kind.LIKE)])
    between = datetime.now(UTC)
    await feedback.record(
        sessions, member, [Event(movies[1], Kind.LIKE, occurred_at=NOW - timedelta(days=9))]
    )
    assert await graded(sessions, member, between) == {movies[0]: 4.5}
    assert await graded(sessions, member) == {movies[0]: 4.5, movies[1]: 4.5}
    assert await graded(sessions, await add_member(sessions, "bob")) == {}
