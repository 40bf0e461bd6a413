"""Merging of visitors and members of other systems into accounts: once, and completely."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from sqlalchemy import insert, text

from app.accounts import access_tokens, authentication, external_members
from app.accounts.external_members import MemberMerged
from app.activity import feedback, merging, ratings
from app.activity.feedback import Event, Kind
from app.activity.merging import InvalidMerge, Merged
from app.db.activity_tables import Rating
from app.db.engine import Sessions
from app.settings import Settings

pytestmark = pytest.mark.anyio

NOW = datetime.now(UTC)
RATINGS = "SELECT movie_id, half_stars, implicit FROM ratings WHERE user_id = :id ORDER BY movie_id"
KINDS = "SELECT movie_id, kind FROM feedback WHERE user_id = :id ORDER BY movie_id, kind"
# The statistics as they are counted anew, beside those that triggers keep.
STATS = """
SELECT coalesce(sum(rating_count), 0), coalesce(sum(half_stars_sum), 0),
    (SELECT count(*) FROM ratings), (SELECT coalesce(sum(half_stars), 0) FROM ratings) FROM movie_stats
"""


@pytest.fixture
async def world(sessions: Sessions) -> Sessions:
    async with sessions.begin() as session:
        await session.execute(
            text("INSERT INTO movies (id, title) SELECT n, 'M' || n FROM generate_series(1, 9) n")
        )
        await session.execute(text("INSERT INTO genres (id, name) VALUES (1, 'Drama')"))
    return sessions


async def account(sessions: Sessions, settings: Settings) -> int:
    return (await authentication.sign_up(sessions, settings, "ada", "a long walk home")).viewer.id


async def member(sessions: Sessions, external_id: str = "u-7") -> int:
    made = await external_members.find_or_make_one(sessions, "tv", external_id)
    return int(made.id)


async def rows(sessions: Sessions, statement: str, user_id: int = 0) -> list[Any]:
    async with sessions() as session:
        return [tuple(row) for row in await session.execute(text(statement), {"id": user_id})]


async def rate(sessions: Sessions, user_id: int, movie_id: int, said: tuple[int, int, bool]) -> None:
    """Store a rating: its half-stars, its age in days, and whether it is implicit."""
    half_stars, days, implicit = said
    rated = {"user_id": user_id, "movie_id": movie_id, "half_stars": half_stars, "implicit": implicit}
    async with sessions.begin() as session:
        await session.execute(insert(Rating).values(**rated, rated_at=NOW - timedelta(days=days)))


async def test_the_choices_of_a_visitor_are_taken_over_once(world: Sessions, settings: Settings) -> None:
    ada = await account(world, settings)
    await ratings.rate(world, ada, 1, 2)
    await feedback.record(world, ada, [Event(2, Kind.DISLIKE)])
    taken = await merging.merge_choices(world, ada, "v-1", [1, 2, 3, 999], [4])
    assert taken == Merged(choices=2)
    assert await rows(world, KINDS, ada) == [(2, "DISLIKE"), (3, "LIKE"), (4, "DISLIKE")]
    await feedback.remove(world, ada, 3, [Kind.LIKE])
    assert await merging.merge_choices(world, ada, "v-1", [3], []) == Merged(already=True)
    assert (3, "LIKE") not in await rows(world, KINDS, ada)
    both = await asyncio.gather(*(merging.merge_choices(world, ada, "v-2", [5], []) for _ in range(4)))
    assert sorted(merged.choices for merged in both) == [0, 0, 0, 1]


@pytest.mark.parametrize(
    ("visitor_id", "likes", "dislikes"),
    [("", [1], []), ("v" * 201, [1], []), ("v\n", [1], []), ("v", [1], [1]), ("v", list(range(501)), [])],
)
async def test_invalid_choices_change_nothing(
    world: Sessions, settings: Settings, visitor_id: str, likes: list[int], dislikes: list[int]
) -> None:
    ada = await account(world, settings)
    with pytest.raises(InvalidMerge):
        await merging.merge_choices(world, ada, visitor_id, likes, dislikes)
    assert await rows(world, KINDS, ada) == await rows(world, "SELECT user_id FROM merged_visitors") == []


async def test_a_member_is_taken_over_with_the_later_of_two_ratings(
    world: Sessions, settings: Settings
) -> None:
    ada, old = await account(world, settings), await member(world)
    said = {
        1: ((8, 1, False), (2, 5, False)),
        2: ((8, 5, False), (2, 1, False)),
        3: ((8, 5, False), (2, 1, True)),
        4: ((8, 1, True), (2, 5, False)),
    }
    for movie_id, (mine, theirs) in said.items():
        await rate(world, ada, movie_id, mine)
        await rate(world, old, movie_id, theirs)
    await rate(world, old, 5, (10, 3, False))
    async with world.begin() as session:
        again = "UPDATE ratings SET first_rated_at = rated_at - interval '1 day' WHERE user_id = :id"
        await session.execute(text(again + " AND movie_id > 3"), {"id": old})
    events = [Event(6, Kind.LIKE, idempotency_key="a"), Event(7, Kind.WATCHLIST, idempotency_key="b")]
    await feedback.record(world, ada, events[:1])
    await feedback.record(world, old, events)
    async with world.begin() as session:
        await session.execute(text("INSERT INTO favorite_genres VALUES (:id, 1, 0)"), {"id": old})
    assert await merging.merge_external(world, ada, "tv", "u-7") == Merged(ratings=3, events=1)
    expected = [(1, 8, False), (2, 2, False), (3, 8, False), (4, 2, False), (5, 10, False)]
    assert await rows(world, RATINGS, ada) == expected
    given = "SELECT movie_id, extract(day FROM rated_at - first_rated_at) FROM ratings WHERE user_id = :id"
    assert await rows(world, given + " ORDER BY 1", ada) == [(1, None), (2, 4), (3, None), (4, 1), (5, 1)]
    assert await rows(world, KINDS, ada) == [(6, "LIKE"), (7, "WATCHLIST")]
    assert await rows(world, "SELECT genre_id FROM favorite_genres WHERE user_id = :id", ada) == [(1,)]
    counts = "SELECT kind, events FROM event_counts WHERE user_id = :id ORDER BY kind"
    assert await rows(world, counts, ada) == [("LIKE", 1), ("WATCHLIST", 1)]
    [(kept, kept_sum, counted, counted_sum)] = await rows(world, STATS)
    assert (kept, kept_sum) == (counted, counted_sum)
    # The former member is gone, its id names the account, and a key may not act under it.
    assert await rows(world, "SELECT id FROM users WHERE id = :id", old) == []
    assert await rows(world, "SELECT user_id FROM external_members") == [(ada,)]
    with pytest.raises(MemberMerged):
        await external_members.find_one(world, "tv", "u-7")
    assert await merging.merge_external(world, ada, "tv", "u-7") == Merged(already=True)


async def test_merged_ids_follow_further_merges(world: Sessions, settings: Settings) -> None:
    ada, phone, device = (
        await account(world, settings),
        await member(world, "phone"),
        await member(world, "tv-set"),
    )
    await rate(world, device, 1, (9, 1, False))
    assert (await merging.merge_external(world, phone, "tv", "tv-set")).ratings == 1
    found = await external_members.find_one(world, "tv", "tv-set")
    assert found is not None
    assert found.id == phone
    assert (await merging.merge_external(world, ada, "tv", "tv-set")).ratings == 1
    assert await rows(world, "SELECT DISTINCT user_id FROM external_members") == [(ada,)]
    other = (await authentication.sign_up(world, settings, "eve", "a long walk home")).viewer.id
    with pytest.raises(InvalidMerge, match="into another account before"):
        await merging.merge_external(world, other, "tv", "phone")
    with pytest.raises(InvalidMerge, match="no such member"):
        await merging.merge_external(world, other, "tv", "nobody")


async def test_concurrent_merges_take_over_once(world: Sessions, settings: Settings) -> None:
    ada, old = await account(world, settings), await member(world)
    await rate(world, old, 1, (9, 1, False))
    merged = await asyncio.gather(*(merging.merge_external(world, ada, "tv", "u-7") for _ in range(4)))
    assert sorted(each.ratings for each in merged) == [0, 0, 0, 1]


async def test_a_code_names_its_member_for_ten_minutes(
    world: Sessions, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = await member(world)
    code, expires_at = await merging.make_code(world, settings, old)
    assert merging.pair_in(settings, code) == ("tv", "u-7")
    assert timedelta(minutes=9) < expires_at - datetime.now(UTC) <= timedelta(minutes=10)
    with pytest.raises(jwt.InvalidTokenError):
        access_tokens.claims_of(settings, code)
    tokens = await authentication.sign_up(world, settings, "ada", "a long walk home")
    with pytest.raises(InvalidMerge):
        await merging.make_code(world, settings, tokens.viewer.id)
    monkeypatch.setattr(merging, "CODE_LIFE", timedelta(seconds=-1))
    outdated, _ = await merging.make_code(world, settings, old)
    for invalid in (tokens.access_token, outdated, f"{code}x", "", "x" * 5_000, "\ud800.\ud800.x"):
        with pytest.raises(InvalidMerge, match="The code is not valid"):
            merging.pair_in(settings, invalid)
