"""Preferences of members."""

import asyncio

import pytest
from sqlalchemy import insert

from app.accounts import authentication, preferences
from app.db.engine import Sessions
from app.db.tables import Genre
from app.settings import Settings
from tests.app.accounts.test_authentication import PASSWORD

pytestmark = pytest.mark.anyio


async def test_favorite_genres_keep_the_members_order(sessions: Sessions, settings: Settings) -> None:
    async with sessions.begin() as session:
        names = ["Comedy", "Drama", "Horror"]
        added = insert(Genre).values([{"name": name} for name in names]).returning(Genre.id)
        comedy, drama, horror = (await session.scalars(added)).all()
    user_id = (await authentication.sign_up(sessions, settings, "ada", PASSWORD)).viewer.id
    await preferences.set_favorite_genres(sessions, user_id, [horror, comedy, horror])
    assert await preferences.favorite_genre_ids(sessions, user_id) == [horror, comedy]
    with pytest.raises(preferences.UnknownGenre):
        await preferences.set_favorite_genres(sessions, user_id, [drama, 999])
    assert await preferences.favorite_genre_ids(sessions, user_id) == [horror, comedy]
    choices = [[comedy, drama], [horror], [drama, horror, comedy]]
    await asyncio.gather(*(preferences.set_favorite_genres(sessions, user_id, choice) for choice in choices))
    assert await preferences.favorite_genre_ids(sessions, user_id) in choices
    await preferences.set_favorite_genres(sessions, user_id, [])
    assert await preferences.favorite_genre_ids(sessions, user_id) == []
