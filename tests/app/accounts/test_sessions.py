"""Renewal of sessions: concurrent tabs and lost responses are tolerated, stolen tokens are detected."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text

from app.accounts import authentication
from app.accounts.authentication import Tokens
from app.db.engine import Sessions, create_engine, sessionmaker
from app.settings import Settings
from tests.app.accounts.conftest import viewer_of

pytestmark = pytest.mark.anyio

PASSWORD = "a long walk home"
TABS = 12


async def renew(sessions: Sessions, settings: Settings, token: str) -> Tokens:
    return await authentication.refresh_session(sessions, settings, token)


async def later(sessions: Sessions, by: timedelta) -> None:
    """Move all timestamps back by this time."""
    moved = text("UPDATE refresh_tokens SET issued_at = issued_at - :by, used_at = used_at - :by")
    async with sessions.begin() as session:
        await session.execute(moved, {"by": by})


async def signed_in(sessions: Sessions, settings: Settings, *tokens: Tokens) -> list[bool]:
    return [await viewer_of(sessions, settings, each.access_token) == each.viewer for each in tokens]


async def assert_ends_the_session(
    sessions: Sessions, settings: Settings, token: str, *others: Tokens
) -> None:
    """The token is refused, and so are all other tokens of the session."""
    for refresh_token in (token, *(each.refresh_token for each in others)):
        with pytest.raises(authentication.InvalidRefreshToken):
            await renew(sessions, settings, refresh_token)
        assert not any(await signed_in(sessions, settings, *others))


async def test_a_retry_after_a_lost_response_stays_signed_in(sessions: Sessions, settings: Settings) -> None:
    first = await authentication.sign_up(sessions, settings, "ada", PASSWORD)
    lost = await renew(sessions, settings, first.refresh_token)
    second = await renew(sessions, settings, first.refresh_token)
    assert len({first.refresh_token, lost.refresh_token, second.refresh_token}) == 3
    assert second.viewer == first.viewer  # with the id of the session
    assert all(await signed_in(sessions, settings, first, lost, second))
    third = await renew(sessions, settings, second.refresh_token)
    assert all(await signed_in(sessions, settings, first, lost, second, third))


async def test_chains_of_retries_stay_signed_in(sessions: Sessions, settings: Settings) -> None:
    tokens = await authentication.sign_up(sessions, settings, "ada", PASSWORD)
    for _ in range(5):
        for _ in range(4):
            newest = await renew(sessions, settings, tokens.refresh_token)
        tokens = newest
        assert all(await signed_in(sessions, settings, tokens))


async def test_concurrent_tabs_stay_signed_in(database_url: str, settings: Settings) -> None:
    """In two processes that share only the database."""
    engines = [create_engine(database_url, settings) for _ in range(2)]
    here, there = map(sessionmaker, engines)
    tokens = await authentication.sign_up(here, settings, "ada", PASSWORD)
    for _ in range(3):
        pairs = await asyncio.gather(
            *(renew((here, there)[tab % 2], settings, tokens.refresh_token) for tab in range(TABS))
        )
        assert len({each.refresh_token for each in pairs}) == TABS
        assert all(await signed_in(there, settings, tokens, *pairs))
        tokens = pairs[TABS // 2]
    # Also if each tab continues with its own tokens at the same time.
    pairs = await asyncio.gather(*(renew(there, settings, each.refresh_token) for each in pairs))
    assert all(await signed_in(here, settings, *pairs))
    for engine in engines:
        await engine.dispose()


@pytest.mark.parametrize("seconds", [1, 30])
async def test_use_beyond_the_overlap_ends_the_session(
    sessions: Sessions, settings: Settings, seconds: int
) -> None:
    settings = settings.model_copy(update={"refresh_overlap_seconds": float(seconds)})
    first = await authentication.sign_up(sessions, settings, "ada", PASSWORD)
    other = await authentication.log_in(sessions, settings, "ada", PASSWORD)
    second = await renew(sessions, settings, first.refresh_token)
    await later(sessions, timedelta(seconds=seconds - 0.5))
    again = await renew(sessions, settings, first.refresh_token)
    # Counted from the first use, regardless of later renewals.
    await later(sessions, timedelta(seconds=0.6))
    await assert_ends_the_session(sessions, settings, first.refresh_token, first, second, again)
    assert await signed_in(sessions, settings, other) == [True]


async def test_without_an_overlap_a_second_use_ends_the_session(
    sessions: Sessions, settings: Settings
) -> None:
    strict = settings.model_copy(update={"refresh_overlap_seconds": 0.0})
    first = await authentication.sign_up(sessions, strict, "ada", PASSWORD)
    second = await renew(sessions, strict, first.refresh_token)
    await assert_ends_the_session(sessions, strict, first.refresh_token, first, second)

    first = await authentication.log_in(sessions, strict, "ada", PASSWORD)
    results = await asyncio.gather(
        *(renew(sessions, strict, first.refresh_token) for _ in range(TABS)), return_exceptions=True
    )
    assert sum(isinstance(result, Tokens) for result in results) == 1
    assert sum(isinstance(result, authentication.InvalidRefreshToken) for result in results) == TABS - 1
    assert await signed_in(sessions, strict, first) == [False]


async def test_a_token_from_before_the_previous_renewal_ends_the_session(
    sessions: Sessions, settings: Settings
) -> None:
    """A later renewal shows that the client has received the token's successor."""
    first = await authentication.sign_up(sessions, settings, "ada", PASSWORD)
    second = await renew(sessions, settings, first.refresh_token)
    third = await renew(sessions, settings, second.refresh_token)
    await assert_ends_the_session(sessions, settings, first.refresh_token, first, second, third)


@pytest.mark.parametrize("owner_is_first", [True, False])
async def test_a_thief_within_the_overlap_is_detected_at_the_next_renewal(
    sessions: Sessions, settings: Settings, *, owner_is_first: bool
) -> None:
    """Of two clients that renew separately, the second to renew again is refused, and the session ends."""
    stolen = await authentication.sign_up(sessions, settings, "ada", PASSWORD)
    owner = await renew(sessions, settings, stolen.refresh_token)
    thief = await renew(sessions, settings, stolen.refresh_token)
    await later(sessions, timedelta(minutes=10))
    first, second = (owner, thief) if owner_is_first else (thief, owner)
    renewed = await renew(sessions, settings, first.refresh_token)
    await later(sessions, timedelta(minutes=10))
    await assert_ends_the_session(sessions, settings, second.refresh_token, owner, thief, renewed)


async def test_a_clock_set_back_keeps_the_order_of_refreshes(sessions: Sessions, settings: Settings) -> None:
    first = await authentication.sign_up(sessions, settings, "ada", PASSWORD)
    second = await renew(sessions, settings, first.refresh_token)
    await later(sessions, -timedelta(hours=1))
    third = await renew(sessions, settings, second.refresh_token)
    assert all(await signed_in(sessions, settings, await renew(sessions, settings, second.refresh_token)))
    await assert_ends_the_session(sessions, settings, first.refresh_token, first, second, third)


async def test_a_retry_of_an_ended_session_is_refused(sessions: Sessions, settings: Settings) -> None:
    first = await authentication.sign_up(sessions, settings, "ada", PASSWORD)
    second = await renew(sessions, settings, first.refresh_token)
    await authentication.log_out(sessions, second.viewer)
    await assert_ends_the_session(sessions, settings, first.refresh_token, first, second)
