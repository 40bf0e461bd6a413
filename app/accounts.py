"""Accounts: who may sign in, for how long a sign-in lasts, and what a member has told of themselves.

A sign-in is a row of `sessions`. An access token names it and is checked against it at each request, so that
ending the row ends the sign-in at once, in every process. A refresh token is worth one renewal: whoever shows
one a second time may have stolen it, so that ends the session too (RFC 9700, section 4.14.2).
"""

import enum
import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from unicodedata import normalize
from uuid import UUID, uuid4

import jwt
from jwt.types import Options
from sqlalchemy import ColumnElement, Row, delete, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app import passwords
from app.db import Sessions
from app.settings import Settings
from app.tables import FavoriteGenre, Genre, RefreshToken, Session, User

USERNAME = re.compile(r"[\w.@+-]{2,64}")
RESERVED = ("simulated-", "movielens-", "movietweetings-")  # for the members that come with data sets
REFRESH_TOKEN_BYTES = 32


class AccountError(Exception):
    """An expected outcome; its message is for the caller."""


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


class UnknownGenre(AccountError):
    pass


class Role(enum.StrEnum):
    USER = "USER"
    CURATOR = "CURATOR"
    ADMIN = "ADMIN"


@dataclass(frozen=True, slots=True)
class Viewer:
    id: int
    username: str
    role: Role
    created_at: datetime
    session_id: UUID


@dataclass(frozen=True, slots=True)
class Tokens:
    access_token: str
    refresh_token: str
    expires_at: datetime  # of the access token
    viewer: Viewer


# What a Viewer is made of; a row may have more columns.
Member = Row[*tuple[Any, ...]]
MEMBER = (User.id, User.username, User.role, User.created_at)


async def sign_up(sessions: Sessions, settings: Settings, username: str, password: str) -> Tokens:
    """Make an account and sign it in. Raises InvalidUsername, UsernameTaken or WeakPassword."""
    username = valid_username(username)
    if (rule := passwords.weakness(password, username)) is not None:
        raise WeakPassword(rule)
    password_hash = await passwords.hashed(password)
    account = upsert(User).values(username=username, password_hash=password_hash)
    async with sessions.begin() as session:
        # Whoever inserts first has the name, whatever another process does meanwhile.
        row = (await session.execute(account.on_conflict_do_nothing().returning(*MEMBER))).one_or_none()
        if row is None:
            raise UsernameTaken(f"The username {username} is taken.")
        return await begin_session(session, settings, row)


async def log_in(sessions: Sessions, settings: Settings, username: str, password: str) -> Tokens:
    """Raises InvalidCredentials, after the same work and with the same text whatever was wrong."""
    username = normalize("NFKC", username)
    row = None
    if USERNAME.fullmatch(username):
        async with sessions() as session:
            found = await session.execute(select(*MEMBER, User.password_hash).where(named(username)))
        row = found.one_or_none()
    password_hash: str | None = None if row is None else row.password_hash
    verified = await passwords.verified(password, password_hash)
    if row is None or password_hash is None or not verified:
        raise InvalidCredentials("The username or the password is wrong.")
    fresh_hash = await passwords.hashed(password) if passwords.outdated(password_hash) else None
    async with sessions.begin() as session:
        unchanged = select(User.id).where(User.id == row.id, User.password_hash == password_hash)
        if await session.scalar(unchanged.with_for_update(key_share=True)) is not None:
            if fresh_hash is not None:
                await session.execute(update(User).where(User.id == row.id).values(password_hash=fresh_hash))
            over = or_(Session.ended_at.is_not(None), Session.expires_at <= func.now())
            await session.execute(delete(Session).where(Session.user_id == row.id, over))
            return await begin_session(session, settings, row)
    # Another sign-in stored a fresh hash, or the password is no more what was verified.
    return await log_in(sessions, settings, username, password)


async def refresh_session(sessions: Sessions, settings: Settings, refresh_token: str) -> Tokens:
    """A new pair of tokens for a refresh token, which is used up by it.

    Raises InvalidRefreshToken; for a token that was used before, the whole session ends with it. Of two calls
    at once with one token the first has the pair and the second ends the session: one of them is a thief's.
    """
    token_hash = digest(refresh_token)
    async with sessions.begin() as session:
        use = update(RefreshToken).where(
            RefreshToken.token_hash == token_hash, RefreshToken.used_at.is_(None)
        )
        session_id = await session.scalar(
            use.values(used_at=func.clock_timestamp()).returning(RefreshToken.session_id)
        )
        if session_id is None:
            family = select(RefreshToken.session_id).where(RefreshToken.token_hash == token_hash)
            await end(session, Session.id == family.scalar_subquery())
            row = None
        else:
            expires_at = func.now() + timedelta(days=settings.refresh_token_days)
            live = Session.ended_at.is_(None) & (Session.expires_at > func.now())
            row = (
                await session.execute(
                    update(Session)
                    .where(Session.id == session_id, live, User.id == Session.user_id)
                    .values(expires_at=expires_at)
                    .returning(*MEMBER)
                )
            ).one_or_none()
        if row is not None and session_id is not None:
            return await issue_tokens(session, settings, viewer(row, session_id))
    # Outside of the transaction, which an error would undo.
    raise InvalidRefreshToken(
        "The refresh token is not valid, was used before, or its session has ended: log in."
    )


async def log_out(sessions: Sessions, viewer: Viewer) -> None:
    async with sessions.begin() as session:
        await end(session, Session.id == viewer.session_id)


async def viewer_of(sessions: Sessions, settings: Settings, access_token: str) -> Viewer | None:
    """Whose access token it is; None when the session has ended or the account is gone.

    Raises jwt.InvalidTokenError for a token that we did not sign or that has expired.
    """
    # Who issued it a moment ago may have a clock that is ahead of ours.
    options: Options = {"require": ["exp", "iat", "sub", "sid"], "verify_iat": False}
    try:
        claims = jwt.decode(access_token, secret_key(settings), algorithms=["HS256"], options=options)
        session_id = UUID(claims["sid"])
    except ValueError:
        raise jwt.InvalidTokenError from None
    live = Session.ended_at.is_(None) & (Session.expires_at > func.now())
    statement = (
        select(*MEMBER).join(Session, Session.user_id == User.id).where(Session.id == session_id, live)
    )
    async with sessions() as session:
        row = (await session.execute(statement)).one_or_none()
    return None if row is None or str(row.id) != claims["sub"] else viewer(row, session_id)


def expiry(access_token: str | None) -> datetime | None:
    """When a token ends that `viewer_of` has accepted; None for one without an end."""
    try:
        claims = jwt.decode(access_token or "", options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return None
    return datetime.fromtimestamp(claims["exp"], UTC)


async def create_admin(sessions: Sessions, username: str, password: str) -> None:
    """Make an account with the role ADMIN; one that is there gets the role and this password.

    Raises InvalidUsername or WeakPassword.
    """
    username = valid_username(username)
    if (rule := passwords.weakness(password, username)) is not None:
        raise WeakPassword(rule)
    granted = {"password_hash": await passwords.hashed(password), "role": Role.ADMIN.value}
    account = upsert(User).values(username=username, **granted)
    statement = account.on_conflict_do_update(index_elements=[func.lower(User.username)], set_=granted)
    async with sessions.begin() as session:
        user_id = await session.scalar(statement.returning(User.id))
        await end(session, Session.user_id == user_id)  # signed in with a password that holds no more


async def favorite_genre_names(session: AsyncSession, user_id: int) -> tuple[str, ...]:
    """In the member's own order."""
    statement = select(Genre.name).join(FavoriteGenre).where(FavoriteGenre.user_id == user_id)
    return tuple((await session.scalars(statement.order_by(FavoriteGenre.position))).all())


async def favorite_genre_ids(sessions: Sessions, user_id: int) -> list[int]:
    statement = select(FavoriteGenre.genre_id).where(FavoriteGenre.user_id == user_id)
    async with sessions() as session:
        return list((await session.scalars(statement.order_by(FavoriteGenre.position))).all())


async def set_favorite_genres(sessions: Sessions, user_id: int, genre_ids: Sequence[int]) -> None:
    """Replace the member's favourites; raises UnknownGenre, and then changes nothing."""
    wanted = list(dict.fromkeys(genre_ids))
    async with sessions.begin() as session:
        # One at a time for a member: two at once would leave a mixture of both.
        await session.execute(select(User.id).where(User.id == user_id).with_for_update(key_share=True))
        known = set((await session.scalars(select(Genre.id).where(Genre.id.in_(wanted)))).all())
        if missing := [genre_id for genre_id in wanted if genre_id not in known]:
            raise UnknownGenre(f"There is no genre number {missing[0]}.")
        await session.execute(delete(FavoriteGenre).where(FavoriteGenre.user_id == user_id))
        if wanted:
            rows = [
                {"user_id": user_id, "genre_id": genre_id, "position": position}
                for position, genre_id in enumerate(wanted)
            ]
            await session.execute(insert(FavoriteGenre).values(rows))


def valid_username(username: str) -> str:
    username = normalize("NFKC", username)
    if not USERNAME.fullmatch(username):
        raise InvalidUsername("A username has 2 to 64 letters, digits and characters of `. _ - + @`.")
    if username.lower().startswith(RESERVED):
        raise InvalidUsername(f"A username does not begin with {', '.join(RESERVED[:-1])} or {RESERVED[-1]}.")
    return username


def named(username: str) -> ColumnElement[bool]:
    return func.lower(User.username) == func.lower(username)


async def end(session: AsyncSession, which: ColumnElement[bool]) -> None:
    ended = update(Session).where(which, Session.ended_at.is_(None))
    await session.execute(ended.values(ended_at=func.now()).execution_options(synchronize_session=False))


async def begin_session(session: AsyncSession, settings: Settings, member: Member) -> Tokens:
    session_id = uuid4()
    expires_at = func.now() + timedelta(days=settings.refresh_token_days)
    await session.execute(insert(Session).values(id=session_id, user_id=member.id, expires_at=expires_at))
    return await issue_tokens(session, settings, viewer(member, session_id))


async def issue_tokens(session: AsyncSession, settings: Settings, viewer: Viewer) -> Tokens:
    refresh_token = secrets.token_urlsafe(REFRESH_TOKEN_BYTES)
    token = insert(RefreshToken).values(token_hash=digest(refresh_token), session_id=viewer.session_id)
    await session.execute(token)
    issued_at = datetime.now(UTC).replace(microsecond=0)
    expires_at = issued_at + timedelta(seconds=settings.access_token_seconds)
    claims = {"sub": str(viewer.id), "sid": str(viewer.session_id), "iat": issued_at, "exp": expires_at}
    access_token = jwt.encode(claims, secret_key(settings), algorithm="HS256")
    return Tokens(access_token, refresh_token, expires_at, viewer)


def viewer(member: Member, session_id: UUID) -> Viewer:
    return Viewer(member.id, member.username, Role(member.role), member.created_at, session_id)


def digest(refresh_token: str) -> bytes:
    """What is stored: 256 random bits need no salt and no slow hash."""
    return hashlib.sha256(refresh_token.encode(errors="surrogatepass")).digest()


def secret_key(settings: Settings) -> str:
    assert settings.secret_key is not None, "made at start-up when it is not given"
    return settings.secret_key.get_secret_value()
