"""Authentication: sign-up, log-in, and sessions with access and refresh tokens.

A session is a row of `sessions`. An access token names it and is checked against it on each request, so that
ending the row ends the session at once, in every process. Refresh tokens rotate: a renewal replaces them, and
the use of a replaced one ends the session, because it may be stolen (RFC 9700, section 4.14.2). Only the
tokens replaced last remain valid for a short overlap, for tabs that renew concurrently and lost responses.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, delete, func, insert, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import access_tokens, login_throttle, passwords, usernames
from app.accounts.access_tokens import Claims
from app.accounts.usernames import named, username_in
from app.accounts.viewer import MEMBER, Member, Viewer, viewer, viewer_in
from app.db.account_tables import RefreshToken, Session
from app.db.engine import Sessions
from app.db.reads import sql_of
from app.db.tables import User
from app.settings import Settings
from app.web.client import Client

REFRESH_TOKEN_BYTES = 32
LONGEST_REFRESH_TOKEN = 100  # characters; ours have 43
NOWHERE = Client()


class AccountError(Exception):
    """An expected failure; its message is shown to the client."""


class InvalidUsername(AccountError):
    pass


class UsernameTaken(AccountError):
    pass


class WeakPassword(AccountError):
    pass


class InvalidCredentials(AccountError):
    pass


class InvalidRefreshToken(AccountError):
    pass


@dataclass(frozen=True, slots=True)
class Tokens:
    access_token: str
    refresh_token: str
    expires_at: datetime  # of the access token
    viewer: Viewer


LIVE = Session.ended_at.is_(None) & (Session.expires_at > func.now())


async def sign_up(
    sessions: Sessions, settings: Settings, username: str, password: str, client: Client = NOWHERE
) -> Tokens:
    """Create an account and begin a session. Raises InvalidUsername, UsernameTaken or WeakPassword."""
    username = valid_username(username)
    if (rule := passwords.weakness(password, username)) is not None:
        raise WeakPassword(rule)
    password_hash = await passwords.hashed(password)
    account = upsert(User).values(**usernames.columns(username), password_hash=password_hash)
    async with sessions.begin() as session:
        # Unique indexes decide which of concurrent sign-ups gets a name or a look-alike of it.
        row = (await session.execute(account.on_conflict_do_nothing().returning(*MEMBER))).one_or_none()
        if row is None:
            raise UsernameTaken(f"The username {username} is taken, or looks like one that is.")
        await login_throttle.remember(session, row.id, client)
        return await begin_session(session, settings, row, client)


async def log_in(
    sessions: Sessions, settings: Settings, username: str, password: str, client: Client = NOWHERE
) -> Tokens:
    """Begin a session with a password.

    Raises InvalidCredentials, with the same work and message for an unknown username as for a wrong password.
    Raises TooManyAttempts before it checks the password; see `login_throttle`.
    """
    row = await verified(sessions, settings, username, password, client)
    old_hash: str = row.password_hash
    fresh_hash = await passwords.hashed(password) if passwords.outdated(old_hash) else None
    async with sessions.begin() as session:
        unchanged = select(User.id).where(User.id == row.id, User.password_hash == old_hash)
        if await session.scalar(unchanged.with_for_update(key_share=True)) is not None:
            if fresh_hash is not None:
                await session.execute(update(User).where(User.id == row.id).values(password_hash=fresh_hash))
            over = or_(Session.ended_at.is_not(None), Session.expires_at <= func.now())
            await session.execute(delete(Session).where(Session.user_id == row.id, over))
            await login_throttle.succeeded(session, settings, row.id, row.username, client)
            return await begin_session(session, settings, row, client)
    # A concurrent log-in stored a fresh hash, or the password was changed: verify again.
    return await log_in(sessions, settings, username, password, client)


async def confirm(
    sessions: Sessions, settings: Settings, viewer: Viewer, password: str | None, client: Client
) -> None:
    """Verify a signed-in member's password. Raises InvalidCredentials or TooManyAttempts.

    A member of another system has none, so that the credential of the request is enough.
    """
    if password is None and await has_no_password(sessions, viewer.id):
        return
    await verified(sessions, settings, viewer.username, password or "", client)
    async with sessions.begin() as session:
        await login_throttle.succeeded(session, settings, viewer.id, viewer.username, client)


async def has_no_password(sessions: Sessions, user_id: int) -> bool:
    statement = select(User.id).where(User.id == user_id, User.password_hash.is_(None))
    async with sessions() as session:
        return await session.scalar(statement) is not None


async def change_password(
    sessions: Sessions, settings: Settings, viewer: Viewer, current: str, new: str, client: Client
) -> int:
    """Change a member's password and end their other sessions. Returns the number of sessions ended.

    Raises InvalidCredentials, TooManyAttempts or WeakPassword, and then changes nothing. The current password
    is verified first, so that only the owner sees whether the new one is acceptable.
    """
    row = await verified(sessions, settings, viewer.username, current, client)
    if (rule := passwords.weakness(new, viewer.username)) is not None:
        raise WeakPassword(rule)
    password_hash = await passwords.hashed(new)
    # The hash may have changed since it was verified. Log-ins lock the same row: one that verified the former
    # password either began its session before this, and it is ended here, or finds the new hash.
    change = update(User).where(User.id == row.id, User.password_hash == row.password_hash)
    async with sessions.begin() as session:
        changed = await session.execute(change.values(password_hash=password_hash).returning(User.id))
        if changed.one_or_none() is None:
            raise InvalidCredentials("The password was changed meanwhile.")
        await login_throttle.succeeded(session, settings, row.id, row.username, client)
        return await end(session, Session.user_id == row.id, LIVE, Session.id != viewer.session_id)


async def verified(
    sessions: Sessions, settings: Settings, username: str, password: str, client: Client
) -> Member:
    """Verify a password. Returns the member and hash. Raises InvalidCredentials or TooManyAttempts."""
    username = username_in(username)
    await login_throttle.take(sessions, settings, username, client)
    row = None
    if username:
        async with sessions() as session:
            found = await session.execute(select(*MEMBER, User.password_hash).where(named(username)))
        row = found.one_or_none()
    password_hash: str | None = None if row is None else row.password_hash
    right = await passwords.verified(password, password_hash)
    if row is None or password_hash is None or not right:
        raise InvalidCredentials("The username or the password is wrong.")
    return row


async def refresh_session(sessions: Sessions, settings: Settings, refresh_token: str) -> Tokens:
    """Exchange a refresh token of a live session for a new pair of tokens.

    All tokens that a session has issued since its last renewal are current. A renewal with one of them
    replaces them all. For the next `refresh_overlap_seconds`, a replaced token still yields a current token
    and replaces nothing. So two clients that share a token can both renew only within the overlap. If one of
    them is a thief, a later renewal by either ends the session.

    Raises InvalidRefreshToken. A token that was replaced longer ago, or by more than one renewal, also ends
    the session.
    """
    # A token that is too long is cut, and matches none.
    token_hash = digest(refresh_token[: LONGEST_REFRESH_TOKEN + 1])
    async with sessions.begin() as session:
        # The lock serializes renewals of a session, so that each reads what the previous one wrote.
        family = await session.execute(
            select(Session.id.label("session_id"), *MEMBER)
            .join(RefreshToken, RefreshToken.session_id == Session.id)
            .join(User, User.id == Session.user_id)
            .where(RefreshToken.token_hash == token_hash, LIVE)
            .with_for_update(of=Session)
        )
        if (row := family.one_or_none()) is not None:
            if await renewed(session, settings, row.session_id, token_hash):
                return await issue_tokens(session, settings, viewer(row, row.session_id))
            await end(session, Session.id == row.session_id)
    # Raised outside the transaction, which an error would roll back.
    raise InvalidRefreshToken(
        "The refresh token is not valid, was replaced by a newer one, or its session has ended: log in."
    )


async def renewed(session: AsyncSession, settings: Settings, session_id: UUID, token_hash: bytes) -> bool:
    """Renew a session, whose row is locked, with one of its tokens. Returns False for an outdated token."""
    of_session = RefreshToken.session_id == session_id
    last_renewal = select(func.max(RefreshToken.used_at)).where(of_session).scalar_subquery()
    state = select(RefreshToken.used_at, last_renewal, func.clock_timestamp())
    found = await session.execute(state.where(RefreshToken.token_hash == token_hash))
    used_at, renewed_at, now = found.one()
    if used_at is None:
        # A later renewal has a later time, even if the clock was set back.
        at = now if renewed_at is None else max(now, renewed_at + timedelta(microseconds=1))
        replaced = update(RefreshToken).where(of_session, RefreshToken.used_at.is_(None))
        await session.execute(replaced.values(used_at=at))
    elif used_at != renewed_at or now - used_at >= timedelta(seconds=settings.refresh_overlap_seconds):
        return False
    expires_at = func.now() + timedelta(days=settings.refresh_token_days)
    lasting = update(Session).where(Session.id == session_id)
    await session.execute(lasting.values(expires_at=expires_at, refreshed_at=func.clock_timestamp()))
    return True


async def log_out(sessions: Sessions, viewer: Viewer) -> None:
    async with sessions.begin() as session:
        await end(session, Session.id == viewer.session_id)


async def log_out_by_refresh_token(sessions: Sessions, refresh_token: str) -> None:
    """End the session of a refresh token, also of a replaced one; an unknown one has none."""
    token_hash = digest(refresh_token[: LONGEST_REFRESH_TOKEN + 1])
    of_token = select(RefreshToken.session_id).where(RefreshToken.token_hash == token_hash)
    async with sessions.begin() as session:
        await end(session, Session.id.in_(of_token))


# The columns of MEMBER, of the member with `user_id` if the session is live.
VIEWER = """
    SELECT users.id, username, role, users.created_at
    FROM users JOIN sessions ON sessions.user_id = users.id
    WHERE sessions.id = :session_id AND users.id = :user_id AND ended_at IS NULL AND expires_at > now()
"""
VIEWER_SQL = sql_of(text(VIEWER))


async def viewer_of(sessions: Sessions, claims: Claims) -> Viewer | None:
    """The member of a verified token; None if the session has ended or the account is deleted."""
    parameters = {"session_id": claims.session_id, "user_id": claims.user_id}
    row = await sessions.reads.row_if_any(VIEWER_SQL, parameters)
    return None if row is None else viewer_in(row, claims.session_id)


def valid_username(text: str) -> str:
    """Normalize a name for a new account. Raises InvalidUsername."""
    username = username_in(text)
    if (rule := usernames.fault(username)) is not None:
        raise InvalidUsername(rule)
    return username


async def end(session: AsyncSession, *which: ColumnElement[bool]) -> int:
    """End the sessions that meet all conditions. Returns their number."""
    ended = update(Session).where(*which, Session.ended_at.is_(None)).values(ended_at=func.now())
    found = await session.scalars(ended.returning(Session.id).execution_options(synchronize_session=False))
    return len(found.all())


async def begin_session(session: AsyncSession, settings: Settings, member: Member, client: Client) -> Tokens:
    session_id = uuid4()
    expires_at = func.now() + timedelta(days=settings.refresh_token_days)
    signed_in = insert(Session).values(id=session_id, user_id=member.id, expires_at=expires_at)
    await session.execute(signed_in.values(address=client.address, agent=client.agent))
    return await issue_tokens(session, settings, viewer(member, session_id))


async def issue_tokens(session: AsyncSession, settings: Settings, viewer: Viewer) -> Tokens:
    refresh_token = secrets.token_urlsafe(REFRESH_TOKEN_BYTES)
    token = insert(RefreshToken).values(token_hash=digest(refresh_token), session_id=viewer.session_id)
    await session.execute(token)
    assert viewer.session_id is not None, "it has just begun"
    access_token, expires_at = access_tokens.issue(settings, viewer.id, viewer.session_id)
    return Tokens(access_token, refresh_token, expires_at, viewer)


def digest(token: str) -> bytes:
    """The stored hash of a token. 256 random bits need neither a salt nor a slow hash."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()
