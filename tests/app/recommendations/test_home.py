"""Home shelves: contents, order, and no movie on two shelves."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import insert, text, update

from app.db import activity_tables, tables
from app.db.engine import Sessions, create_engine, sessionmaker
from app.recommendations import recommend
from app.recommendations.dealing import dealt
from app.recommendations.history import history_of
from app.recommendations.shelves import Shelf, ShelfKind
from app.serving import live
from app.serving.live import ServingState
from app.serving.model import Model
from app.settings import Settings
from tests.app.recommendations.home_pages import (
    NOW,
    add_member,
    known_movies,
    movies,
    neighbours,
    of_kind,
    shown,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def settings(seeded_database_url: str) -> Settings:
    return Settings.model_validate(
        {"database_url": seeded_database_url, "secret_key": "a secret of the tests, long enough"}
    )


@pytest.fixture
async def sessions(seeded_database_url: str, settings: Settings) -> AsyncIterator[Sessions]:
    engine = create_engine(seeded_database_url, settings)
    yield sessionmaker(engine)
    await engine.dispose()


@pytest.fixture
async def served(sessions: Sessions, model_dir: Path) -> ServingState:
    return await live.load(sessions, model_dir)


@pytest.fixture
def model(served: ServingState) -> Model:
    assert served.model is not None
    return served.model


async def test_eight_full_shelves_without_a_movie_twice(
    sessions: Sessions, served: ServingState, model: Model
) -> None:
    rated = await known_movies(sessions, 12)
    member = await add_member(sessions, dict.fromkeys(rated, 4.5))
    page = await shown(sessions, served, model, member)
    assert [shelf.kind for shelf in page.shelves][:5] == [
        ShelfKind.TOP_PICKS,
        ShelfKind.BECAUSE_YOU_LIKED,
        ShelfKind.GENRE,
        ShelfKind.TRENDING,
        ShelfKind.NEW_RELEASES,
    ]
    on_shelves = [movies(page, shelf) for shelf in page.shelves]
    assert [len(each) for each in on_shelves] == [24] * 8
    everything = list(chain.from_iterable(on_shelves))
    assert len(set(everything)) == 192
    assert not set(everything) & set(rated)


async def test_nobody_has_a_page_too(sessions: Sessions, served: ServingState, model: Model) -> None:
    page = await shown(sessions, served, model, None)
    assert page.shelves[0].kind is ShelfKind.POPULAR
    assert len(page.shelves) == 8
    assert ShelfKind.BECAUSE_YOU_LIKED not in {shelf.kind for shelf in page.shelves}


async def test_shelves_stay_apart_however_far_they_are_continued(
    sessions: Sessions, served: ServingState, model: Model
) -> None:
    page = await shown(sessions, served, model, None, count=5, per_shelf=6)
    seen: list[int] = []
    for shelf in page.shelves:
        standing, has_next = None, True
        theirs: list[int] = []
        while has_next:
            part = page.page(shelf, 37, standing)
            theirs += [pick.movie_id for pick, _ in part.picks]
            assert [pick.rank for pick, _ in part.picks] == list(
                range(len(theirs) - len(part.picks) + 1, len(theirs) + 1)
            )
            standing, has_next = part.picks[-1][1], part.has_next
        assert len(theirs) == len(shelf.dealt)
        seen += theirs
    assert len(set(seen)) == len(seen) > 300


def test_movies_are_assigned_in_rounds() -> None:
    def shelf(*item_idx: int) -> Shelf:
        return Shelf(ShelfKind.GENRE, np.array(item_idx, np.int32), np.zeros(len(item_idx)))

    hands = dealt([shelf(0, 1, 2, 3, 4, 5), shelf(0, 1, 9, 8, 3, 4, 7), shelf()], 2)
    # First round: 0 1, then 9 8; second: 2 3, then 4 7; third: 5.
    assert hands == [[0, 1, 2, 3, 5], [2, 3, 5, 6], []]


async def test_because_you_liked_shows_the_movies_own_neighbours(
    sessions: Sessions, served: ServingState, model: Model
) -> None:
    first, second, loathed = await known_movies(sessions, 3)
    member = await add_member(sessions, {first: 4.5, second: 4.0, loathed: 1.0})
    async with sessions.begin() as session:  # the most recently liked movie is first
        await session.execute(
            update(activity_tables.Rating)
            .where(activity_tables.Rating.user_id == member, activity_tables.Rating.movie_id == first)
            .values(rated_at=NOW - timedelta(days=1))
        )
    page = await shown(sessions, served, model, member, count=20)
    about = [shelf for shelf in page.shelves if shelf.kind is ShelfKind.BECAUSE_YOU_LIKED]
    assert [shelf.subject for shelf in about] in (
        [second, first],
        [second],
    )  # one shelf for two similar movies
    nearest, _ = model.hybrid.similar(int(model.item_idx([second])[0]), k=303)
    apart = [movie for movie in nearest.tolist() if model.hybrid.item_ids[movie] not in (first, loathed)]
    on_shelf = about[0].item_idx.tolist()
    assert on_shelf == [movie for movie in apart if movie in set(on_shelf)]  # the nearest first
    assert {pick.match.reasons[0].movie_id for pick, _ in page.page(about[0], 100).picks} == {second}


@pytest.mark.parametrize("stars", [(5.0, 4.0, 1.0), (4.0, 2.0, 0.5), (0.5, 0.5, 1.0)])
async def test_shelves_promise_only_what_the_prediction_promises(
    sessions: Sessions, served: ServingState, model: Model, stars: tuple[float, ...]
) -> None:
    rated = await known_movies(sessions, 60)
    given = {id_: stars[place % len(stars)] for place, id_ in enumerate(rated)}
    member = await add_member(sessions, given, timedelta(days=500))
    page = await shown(sessions, served, model, member, count=20)
    assert page.shelves
    for shelf in page.shelves:
        if shelf.kind in (ShelfKind.POPULAR, ShelfKind.NEW_RELEASES, ShelfKind.TRENDING):
            continue
        matches = [pick.match for pick, _ in page.page(shelf, 100).picks]
        assert min(match.match_percent for match in matches if match.match_percent is not None) >= 50
        if shelf.kind is ShelfKind.BECAUSE_YOU_LIKED:
            assert {match.reasons[0].movie_id for match in matches} == {shelf.subject}


async def test_trending_follows_ratings_and_their_age(
    sessions: Sessions, served: ServingState, model: Model
) -> None:
    *_, lately, long_ago = await known_movies(sessions, 500)
    crowd = [await add_member(sessions, {}, timedelta(days=n)) for n in range(12)]

    async def trending() -> list[int]:
        page = await shown(sessions, served, model, None, count=4, per_shelf=4)
        return movies(page, of_kind(page, ShelfKind.TRENDING), 5)

    async def rate(movie_id: int, members: list[int], age: timedelta) -> None:
        async with sessions.begin() as session:
            rows = [
                {"user_id": id_, "movie_id": movie_id, "half_stars": 6, "rated_at": NOW - age}
                for id_ in members
            ]
            await session.execute(insert(activity_tables.Rating), rows)

    await rate(long_ago, crowd, timedelta(days=29))  # 12 ratings weigh less than a quarter: as 2.9 of now
    await rate(lately, crowd[:4], timedelta())
    assert (await trending())[:2] == [lately, long_ago]
    async with sessions.begin() as session:
        mine = (activity_tables.Rating.movie_id == lately) & (activity_tables.Rating.user_id == crowd[0])
        await session.execute(text("DELETE FROM ratings WHERE movie_id = :id"), {"id": long_ago})
        await session.execute(update(activity_tables.Rating).where(mine).values(half_stars=10))
    assert (await trending())[0] == lately
    assert long_ago not in await trending()


async def test_stored_trends_equal_counted_trends(sessions: Sessions) -> None:
    movie, *_ = await known_movies(sessions, 1)
    for n in range(5):
        await add_member(sessions, {movie: 3.0}, timedelta(days=n * 7))
    async with sessions.begin() as session:
        await session.execute(text("UPDATE ratings SET half_stars = 4 WHERE movie_id = :id"), {"id": movie})
        await session.execute(
            text("DELETE FROM ratings WHERE movie_id = :id AND user_id % 3 = 0"), {"id": movie}
        )
        kept, counted = (
            await session.execute(
                text(
                    "SELECT trend, (SELECT sum(trend_weight(rated_at)) FROM ratings WHERE movie_id = :id) "
                    "FROM movie_stats WHERE movie_id = :id"
                ),
                {"id": movie},
            )
        ).one()
    assert kept == pytest.approx(counted, rel=1e-9)


async def test_new_releases_are_new(sessions: Sessions, served: ServingState, model: Model) -> None:
    page = await shown(sessions, served, model, None)
    days = served.snapshot.facts.release_days
    today = datetime.now(UTC).date().toordinal()
    released = days[days <= today]
    of_shelf = days[served.snapshot.positions(movies(page, of_kind(page, ShelfKind.NEW_RELEASES)))]
    assert of_shelf.max() <= today
    assert of_shelf.min() >= min(released.max() - 730, np.sort(released)[-60])


async def test_rediscover_brings_back_what_was_loved_long_ago(
    sessions: Sessions, served: ServingState, model: Model
) -> None:
    loved, watched, turned_down, liked, disliked, *_ = await known_movies(sessions, 6)
    member = await add_member(
        sessions,
        {loved: 5.0, watched: 5.0, turned_down: 5.0, liked: 4.0, disliked: 2.0},
        timedelta(days=800),
    )
    events = [(watched, "WATCH", 0.7), (turned_down, "NOT_INTERESTED", None)]
    async with sessions.begin() as session:
        for movie_id, kind, fraction in events:
            await session.execute(
                insert(activity_tables.Feedback).values(
                    user_id=member, movie_id=movie_id, kind=kind, watched_fraction=fraction, occurred_at=NOW
                )
            )
    page = await shown(sessions, served, model, member)
    shelf = of_kind(page, ShelfKind.REDISCOVER)
    picks = [pick for pick, _ in page.page(shelf, 10).picks]
    assert [pick.movie_id for pick in picks[:2]] == [loved, liked]
    year = (NOW - timedelta(days=800)).year
    assert picks[0].match.reasons[0].kind == "YOU_LOVED_IT"
    assert picks[0].match.reasons[0].detail == f"5 stars in {year}"
    assert not {watched, turned_down, disliked} & set(movies(page, shelf, 100))
    # As if it had not been rated: the model does not see the stars that the member gave.
    user = await history_of(sessions, member)
    (without,) = recommend.matches(model, user, [loved])
    assert without is not None
    assert picks[0].match.match_percent is not None
    assert without.match_percent is not None
    assert abs(picks[0].match.match_percent - without.match_percent) <= 10
    # The other movies are unrated neighbors of the liked ones.
    near = {movie for dear in (loved, liked) for movie in neighbours(model, dear)}
    assert {pick.movie_id for pick in picks[2:]} <= near


async def test_what_was_loved_lately_needs_no_rediscovery(
    sessions: Sessions, served: ServingState, model: Model
) -> None:
    rated = await known_movies(sessions, 6)
    member = await add_member(sessions, dict.fromkeys(rated, 5.0), timedelta(days=300))
    page = await shown(sessions, served, model, member, count=20)
    assert ShelfKind.REDISCOVER not in {shelf.kind for shelf in page.shelves}


async def test_favourite_genres_come_before_liked_ones(
    sessions: Sessions, served: ServingState, model: Model
) -> None:
    rated = await known_movies(sessions, 10)
    member = await add_member(sessions, dict.fromkeys(rated, 4.5))
    western = next(genre for genre in served.snapshot.genres if genre.name == "Western")
    async with sessions.begin() as session:
        await session.execute(
            insert(tables.FavoriteGenre).values(user_id=member, genre_id=western.id, position=0)
        )
    page = await shown(sessions, served, model, member)
    shelf = of_kind(page, ShelfKind.GENRE)
    assert shelf.subject == western.id
    row = served.snapshot.genres.index(western)
    assert served.snapshot.facts.has_genre[row, served.snapshot.positions(movies(page, shelf))].all()
