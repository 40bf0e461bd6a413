"""Sign-up, log-in, sessions and changes of passwords."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, func, insert, select, update

from app.accounts import admin, audit_log, authentication, login_throttle, passwords
from app.accounts.sessions import end_all
from app.accounts.viewer import Role
from app.db.account_tables import Session
from app.db.engine import Sessions
from app.db.tables import User
from app.settings import Settings
from tests.app.accounts.conftest import viewer_of
from tests.statements import noted_statements

pytestmark = pytest.mark.anyio

PASSWORD = "a long walk home"


async def test_a_new_account_is_signed_in(sessions: Sessions, settings: Settings) -> None:
    before = datetime.now(UTC)
    tokens = await authentication.sign_up(sessions, settings, "Ada", PASSWORD)
    assert (tokens.viewer.username, tokens.viewer.role) == ("Ada", Role.USER)
    seen = await viewer_of(sessions, settings, tokens.access_token)
    assert seen == tokens.viewer
    life = timedelta(seconds=settings.access_token_seconds)
    assert before - timedelta(seconds=1) <= tokens.expires_at - life <= datetime.now(UTC)


@pytest.mark.parametrize("again", ["ada", "ADA", "\uff21da"])
async def test_usernames_are_unique_in_any_case(sessions: Sessions, settings: Settings, again: str) -> None:
    await authentication.sign_up(sessions, settings, "Ada", PASSWORD)
    with pytest.raises(authentication.UsernameTaken):
        await authentication.sign_up(sessions, settings, again, PASSWORD)


async def test_of_concurrent_sign_ups_with_a_name_one_succeeds(
    sessions: Sessions, settings: Settings
) -> None:
    results = await asyncio.gather(
        *(authentication.sign_up(sessions, settings, "ada", PASSWORD) for _ in range(5)),
        return_exceptions=True,
    )
    assert sum(isinstance(result, authentication.Tokens) for result in results) == 1
    assert sum(isinstance(result, authentication.UsernameTaken) for result in results) == 4


@pytest.mark.parametrize(
    "username",
    [
        "",
        "a",
        "with space",
        "new\nline",
        "nul\0",
        "half \ud800",
        "\ud800\ud800",
        "x" * 65,
        "<b>",
        pytest.param("x" * 10**6, id="large"),
    ],
)
async def test_invalid_usernames_are_refused(sessions: Sessions, settings: Settings, username: str) -> None:
    with pytest.raises(authentication.InvalidUsername):
        await authentication.sign_up(sessions, settings, username, PASSWORD)
    with pytest.raises(authentication.InvalidCredentials):
        await authentication.log_in(sessions, settings, username, PASSWORD)


async def test_a_failed_log_in_reveals_nothing(
    sessions: Sessions, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await authentication.sign_up(sessions, settings, "ada", PASSWORD)
    async with sessions.begin() as session:
        await session.execute(insert(User).values(username="imported"))
    work = []
    in_thread = passwords.in_thread

    async def counted(function: Callable[..., Any], *arguments: str) -> Any:
        work.append(1)
        return await in_thread(function, *arguments)

    monkeypatch.setattr(passwords, "in_thread", counted)
    texts = set()
    attempts = [
        ("ada", "wrong"),
        ("nobody", PASSWORD),
        ("imported", ""),
        ("imported", PASSWORD),
        ("\0", PASSWORD),
    ]
    for username, password in attempts:
        with pytest.raises(authentication.InvalidCredentials) as failure:
            await authentication.log_in(sessions, settings, username, password)
        texts.add(str(failure.value))
    assert len(texts) == 1
    assert len(work) == len(attempts)


async def test_logging_out_ends_that_session_at_once(sessions: Sessions, settings: Settings) -> None:
    here = await authentication.sign_up(sessions, settings, "ada", PASSWORD)
    there = await authentication.log_in(sessions, settings, "ada", PASSWORD)
    await authentication.log_out(sessions, here.viewer)
    assert await viewer_of(sessions, settings, here.access_token) is None
    assert await viewer_of(sessions, settings, there.access_token) == there.viewer
    with pytest.raises(authentication.InvalidRefreshToken):
        await authentication.refresh_session(sessions, settings, here.refresh_token)


async def test_refreshing_returns_new_tokens_of_the_same_session(
    sessions: Sessions, settings: Settings
) -> None:
    first = await authentication.sign_up(sessions, settings, "ada", PASSWORD)
    second = await authentication.refresh_session(sessions, settings, first.refresh_token)
    third = await authentication.refresh_session(sessions, settings, second.refresh_token)
    assert len({first.refresh_token, second.refresh_token, third.refresh_token}) == 3
    assert third.viewer == first.viewer
    assert await viewer_of(sessions, settings, third.access_token) == first.viewer


@pytest.mark.parametrize("token", ["", "guess", "\ud800", pytest.param("x" * 10**6, id="large")])
async def test_unknown_refresh_tokens_are_refused(sessions: Sessions, settings: Settings, token: str) -> None:
    with pytest.raises(authentication.InvalidRefreshToken):
        await authentication.refresh_session(sessions, settings, token)


async def test_an_unused_session_expires(sessions: Sessions, settings: Settings) -> None:
    tokens = await authentication.sign_up(sessions, settings, "ada", PASSWORD)
    async with sessions.begin() as session:
        await session.execute(update(Session).values(expires_at=func.now()))
    assert await viewer_of(sessions, settings, tokens.access_token) is None
    with pytest.raises(authentication.InvalidRefreshToken):
        await authentication.refresh_session(sessions, settings, tokens.refresh_token)
    await authentication.log_in(sessions, settings, "ada", PASSWORD)
    async with sessions() as session:
        assert await session.scalar(select(func.count()).select_from(Session)) == 1


async def test_refreshing_extends_the_session(sessions: Sessions, settings: Settings) -> None:
    tokens = await authentication.sign_up(sessions, settings, "ada", PASSWORD)
    soon = datetime.now(UTC) + timedelta(minutes=1)
    async with sessions.begin() as session:
        await session.execute(update(Session).values(expires_at=soon))
    await authentication.refresh_session(sessions, settings, tokens.refresh_token)
    async with sessions() as session:
        expires_at = await session.scalar(select(Session.expires_at))
    assert expires_at is not None
    assert expires_at > soon + timedelta(days=settings.refresh_token_days - 1)


async def test_a_deleted_account_is_signed_out(sessions: Sessions, settings: Settings) -> None:
    tokens = await authentication.sign_up(sessions, settings, "ada", PASSWORD)
    async with sessions.begin() as session:
        await session.execute(delete(User))
    assert await viewer_of(sessions, settings, tokens.access_token) is None
    with pytest.raises(authentication.InvalidRefreshToken):
        await authentication.refresh_session(sessions, settings, tokens.refresh_token)


async def test_authenticating_a_viewer_takes_one_statement(sessions: Sessions, settings: Settings) -> None:
    tokens = await authentication.sign_up(sessions, settings, "ada", PASSWORD)
    statements = noted_statements(sessions)
    await viewer_of(sessions, settings, tokens.access_token)
    assert len(statements) == 1


async def test_a_changed_password_ends_the_other_sessions(sessions: Sessions, settings: Settings) -> None:
    here = await authentication.sign_up(sessions, settings, "ada", PASSWORD)
    there = [await authentication.log_in(sessions, settings, "ada", PASSWORD) for _ in range(3)]
    bystander = await authentication.sign_up(sessions, settings, "bob", PASSWORD)
    await authentication.log_out(sessions, there[2].viewer)
    changed = await authentication.change_password(
        sessions, settings, here.viewer, PASSWORD, "another long walk", authentication.NOWHERE
    )
    assert changed == 2
    for tokens in there:
        assert await viewer_of(sessions, settings, tokens.access_token) is None
        with pytest.raises(authentication.InvalidRefreshToken):
            await authentication.refresh_session(sessions, settings, tokens.refresh_token)
    for tokens in (here, bystander):
        assert await viewer_of(sessions, settings, tokens.access_token) == tokens.viewer
        await authentication.refresh_session(sessions, settings, tokens.refresh_token)
    with pytest.raises(authentication.InvalidCredentials):
        await authentication.log_in(sessions, settings, "ada", PASSWORD)
    await authentication.log_in(sessions, settings, "ada", "another long walk")


@pytest.mark.parametrize(
    ("current", "new", "error"),
    [
        ("not the password", "another long walk", authentication.InvalidCredentials),
        ("not the password", "short", authentication.InvalidCredentials),
        ("", "another long walk", authentication.InvalidCredentials),
        (PASSWORD, "short", authentication.WeakPassword),
        (PASSWORD, "password123", authentication.WeakPassword),
        (PASSWORD, "x1y2" * 33, authentication.WeakPassword),
        (PASSWORD, "Ada.Lovelace", authentication.WeakPassword),
    ],
)
async def test_a_refused_change_of_password_changes_nothing(
    sessions: Sessions, settings: Settings, current: str, new: str, error: type[Exception]
) -> None:
    here = await authentication.sign_up(sessions, settings, "ada.lovelace", PASSWORD)
    there = await authentication.log_in(sessions, settings, "ada.lovelace", PASSWORD)
    with pytest.raises(error):
        await authentication.change_password(
            sessions, settings, here.viewer, current, new, authentication.NOWHERE
        )
    assert await viewer_of(sessions, settings, there.access_token) == there.viewer
    await authentication.log_in(sessions, settings, "ada.lovelace", PASSWORD)


async def test_of_concurrent_password_changes_one_succeeds(sessions: Sessions, settings: Settings) -> None:
    tokens = [await authentication.sign_up(sessions, settings, "ada", PASSWORD)]
    tokens += [await authentication.log_in(sessions, settings, "ada", PASSWORD) for _ in range(3)]
    new = [f"a long walk to {place}" for place in range(4)]
    results = await asyncio.gather(
        *(
            authentication.change_password(
                sessions, settings, each.viewer, PASSWORD, word, authentication.NOWHERE
            )
            for each, word in zip(tokens, new, strict=True)
        ),
        return_exceptions=True,
    )
    (winner,) = (place for place, result in enumerate(results) if result == 3)
    assert sum(isinstance(result, authentication.InvalidCredentials) for result in results) == 3
    await authentication.log_in(sessions, settings, "ada", new[winner])
    live = [await viewer_of(sessions, settings, each.access_token) for each in tokens]
    assert [place for place, viewer in enumerate(live) if viewer is not None] == [winner]


async def test_guesses_of_the_current_password_are_throttled(sessions: Sessions, settings: Settings) -> None:
    tokens = await authentication.sign_up(sessions, settings, "ada", PASSWORD)

    async def guess(password: str) -> None:
        await authentication.change_password(
            sessions, settings, tokens.viewer, password, "another long walk", authentication.NOWHERE
        )

    for n in range(settings.sign_in_tries):
        with pytest.raises(authentication.InvalidCredentials):
            await guess(f"guess {n}")
    with pytest.raises(login_throttle.TooManyAttempts):
        await guess(PASSWORD)
    with pytest.raises(login_throttle.TooManyAttempts):
        await authentication.log_in(sessions, settings, "ada", PASSWORD)


async def test_all_sessions_end_together(sessions: Sessions, settings: Settings) -> None:
    here, there, elsewhere = [await authentication.sign_up(sessions, settings, "ada", PASSWORD)] + [
        await authentication.log_in(sessions, settings, "ada", PASSWORD) for _ in range(2)
    ]
    other = await authentication.sign_up(sessions, settings, "bob", PASSWORD)
    assert await end_all(sessions, here.viewer.id, but=here.viewer.session_id) == 2
    assert await end_all(sessions, here.viewer.id, but=here.viewer.session_id) == 0
    for tokens, left in ((here, here.viewer), (there, None), (elsewhere, None), (other, other.viewer)):
        assert await viewer_of(sessions, settings, tokens.access_token) == left
    assert await end_all(sessions, here.viewer.id) == 1
    assert await viewer_of(sessions, settings, here.access_token) is None
    with pytest.raises(authentication.InvalidRefreshToken):
        await authentication.refresh_session(sessions, settings, here.refresh_token)
    assert await viewer_of(sessions, settings, other.access_token) == other.viewer


async def test_the_command_creates_an_administrator(sessions: Sessions, settings: Settings) -> None:
    member = await authentication.sign_up(sessions, settings, "ada", PASSWORD)
    await admin.create_admin(sessions, "Ada", "another long walk")
    await admin.create_admin(sessions, "root.of.all", "another long walk")
    assert await viewer_of(sessions, settings, member.access_token) is None
    for username in ("ada", "root.of.all"):
        tokens = await authentication.log_in(sessions, settings, username, "another long walk")
        assert tokens.viewer.role is Role.ADMIN
    with pytest.raises(authentication.WeakPassword):
        await admin.create_admin(sessions, "ada", "password")
    noted = await audit_log.entries(sessions, 10, None)
    assert [(entry.act, entry.arguments) for entry in noted] == [
        ("marquee create-admin", {"input": {"username": username}}) for username in ("root.of.all", "Ada")
    ]
