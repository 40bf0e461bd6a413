"""Password guessing is throttled across processes, and the owner is not locked out."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from app.accounts import authentication, login_throttle
from app.accounts.authentication import InvalidCredentials
from app.accounts.login_throttle import TooManyAttempts
from app.db.account_tables import SignInAttempt
from app.db.engine import Sessions, create_engine, sessionmaker
from app.settings import Settings
from app.web.client import Client

pytestmark = pytest.mark.anyio

PASSWORD = "a long walk home"
HOME, AWAY, THIEF = Client("192.0.2.1"), Client("192.0.2.2"), Client("203.0.113.7")


@pytest.fixture
def settings(database_url: str) -> Settings:
    return Settings.model_validate(
        {
            "database_url": database_url,
            "secret_key": "a secret of the tests, long enough",
            "sign_in_tries": 3,
            "sign_in_tries_per_address": 6,
        }
    )


async def fail(sessions: Sessions, settings: Settings, username: str, client: Client) -> None:
    with pytest.raises(InvalidCredentials):
        await authentication.log_in(sessions, settings, username, "wrong password", client)


async def later(sessions: Sessions, seconds: float) -> None:
    """Move all timestamps back, as if this time had passed."""
    async with sessions.begin() as session:
        earlier = SignInAttempt.forgotten_at - timedelta(seconds=seconds)
        await session.execute(update(SignInAttempt).values(forgotten_at=earlier))


@pytest.mark.parametrize("username", ["ada", "nobody-of-this-name"])
async def test_after_some_wrong_passwords_attempts_are_refused(
    sessions: Sessions, settings: Settings, username: str
) -> None:
    """The response does not depend on whether the account exists."""
    await authentication.sign_up(sessions, settings, "ada", PASSWORD, HOME)
    for _ in range(3):
        await fail(sessions, settings, username, THIEF)
    for guess in (PASSWORD, "wrong password"):
        with pytest.raises(TooManyAttempts, match="try again in") as refusal:
            await authentication.log_in(sessions, settings, username, guess, THIEF)
        assert 1 <= refusal.value.wait_seconds <= 30


async def test_attempts_are_restored_over_time(sessions: Sessions, settings: Settings) -> None:
    await authentication.sign_up(sessions, settings, "ada", PASSWORD, HOME)
    for _ in range(3):
        await fail(sessions, settings, "ada", HOME)
    await later(sessions, 30)
    await fail(sessions, settings, "ada", HOME)
    with pytest.raises(TooManyAttempts):
        await authentication.log_in(sessions, settings, "ada", PASSWORD, HOME)
    await later(sessions, 30)
    assert (await authentication.log_in(sessions, settings, "ada", PASSWORD, HOME)).viewer.username == "ada"


async def test_the_owner_is_not_locked_out(sessions: Sessions, settings: Settings) -> None:
    await authentication.sign_up(sessions, settings, "ada", PASSWORD, HOME)
    for _ in range(3):
        await fail(sessions, settings, "ada", THIEF)
    for client in (HOME, AWAY):
        assert (
            await authentication.log_in(sessions, settings, "ada", PASSWORD, client)
        ).viewer.username == "ada"


async def test_a_right_password_resets_the_limit(sessions: Sessions, settings: Settings) -> None:
    await authentication.sign_up(sessions, settings, "ada", PASSWORD, HOME)
    for _ in range(4):
        await fail(sessions, settings, "ada", HOME)
        await fail(sessions, settings, "ada", HOME)
        await authentication.log_in(sessions, settings, "ada", PASSWORD, HOME)
    await asyncio.gather(
        *(authentication.log_in(sessions, settings, "ada", PASSWORD, HOME) for _ in range(3))
    )


async def test_many_accounts_from_one_address(sessions: Sessions, settings: Settings) -> None:
    """Members who have signed in from the address before are not limited by attempts on other accounts."""
    await authentication.sign_up(sessions, settings, "ada", PASSWORD, HOME)
    await authentication.sign_up(sessions, settings, "bob", PASSWORD, AWAY)
    for number in range(6):
        await fail(sessions, settings, f"guess-{number}", HOME)
    for username in ("bob", "guess-7"):
        with pytest.raises(TooManyAttempts):
            await authentication.log_in(sessions, settings, username, PASSWORD, HOME)
    assert (await authentication.log_in(sessions, settings, "ada", PASSWORD, HOME)).viewer.username == "ada"
    await later(sessions, 6)
    assert (await authentication.log_in(sessions, settings, "bob", PASSWORD, HOME)).viewer.username == "bob"


async def test_concurrent_processes_share_the_limit(
    sessions: Sessions, settings: Settings, database_url: str
) -> None:
    engine = create_engine(database_url, settings)
    other = sessionmaker(engine)
    guesses = [
        authentication.log_in(process, settings, spelling, "wrong password", THIEF)
        for process in (sessions, other)
        for spelling in ("ada", "ADA", "\uff21da", "Ada")
    ]
    results = await asyncio.gather(*guesses, return_exceptions=True)
    await engine.dispose()
    assert sum(isinstance(result, InvalidCredentials) for result in results) == 3
    assert sum(isinstance(result, TooManyAttempts) for result in results) == 5


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1%eth0", "2001:db8:1:2::/64"),
        ("testclient", ""),
        (None, ""),
    ],
)
def test_addresses_of_one_network_count_as_one(address: str | None, network: str) -> None:
    assert Client(address).network == network


async def test_expired_rows_are_deleted(sessions: Sessions, settings: Settings) -> None:
    for number in range(5):
        await fail(sessions, settings, f"guess-{number}", THIEF)
    await later(sessions, 3600)
    await login_throttle.take(sessions, settings, "ada", AWAY)
    async with sessions() as session:
        assert await session.scalar(select(func.count()).select_from(SignInAttempt)) == 2
