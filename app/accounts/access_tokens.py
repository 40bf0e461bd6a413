"""Access tokens: signed, short-lived JWTs that name a member and one of their sessions."""

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import jwt
from jwt.types import Options

from app.settings import Settings

ALGORITHM = "HS256"
LONGEST = 1_000  # characters; ours have about 250
MAX_VERIFIED = 10_000  # tokens whose signature is not verified again; each takes about a kilobyte
USER_ID = re.compile(r"[1-9][0-9]{0,17}")
LATEST = int(datetime(9999, 1, 1, tzinfo=UTC).timestamp())
# `iat` is not compared with the clock, since clocks of processes may differ.
OPTIONS: Options = {"require": ["exp", "iat", "sub", "sid"], "verify_iat": False}


@dataclass(frozen=True, slots=True)
class Claims:
    user_id: int
    session_id: UUID
    expires_at: datetime


def issue(settings: Settings, user_id: int, session_id: UUID) -> tuple[str, datetime]:
    """Issue a token. Returns it and its expiry."""
    issued_at = datetime.now(UTC).replace(microsecond=0)
    expires_at = issued_at + timedelta(seconds=settings.access_token_seconds)
    claims = {"sub": str(user_id), "sid": str(session_id), "iat": issued_at, "exp": expires_at}
    return jwt.encode(claims, secret_key(settings), algorithm=ALGORITHM), expires_at


def claims_of(settings: Settings, token: str) -> Claims:
    """Verify a token and return its claims. Its session may have ended.

    Raises jwt.InvalidTokenError for a token that is not ours or has expired.
    """
    if len(token) > LONGEST:
        raise jwt.InvalidTokenError
    claims = verified(token, secret_key(settings))
    if claims.expires_at.timestamp() <= time.time():  # since it was verified
        raise jwt.ExpiredSignatureError
    return claims


@lru_cache(MAX_VERIFIED)  # a token that is refused is not kept
def verified(token: str, key: str) -> Claims:
    """The claims of a token that is signed with the key. A later call does not compare the expiry again.

    Claims are checked for their types: another release, or another service with our key, may have signed
    them. Raises jwt.InvalidTokenError.
    """
    try:
        claims = jwt.decode(token, key, algorithms=[ALGORITHM], options=OPTIONS)
    except (ValueError, TypeError, OverflowError, RecursionError):
        # PyJWT reads times before it checks their types.
        raise jwt.InvalidTokenError from None
    return checked(claims)


def checked(claims: dict[str, Any]) -> Claims:
    sub, sid, exp, iat = (claims[name] for name in ("sub", "sid", "exp", "iat"))
    # Exact types, since True is an int too. Our tokens have no audience.
    if [type(sub), type(sid), type(exp), type(iat)] != [str, str, int, int] or "aud" in claims:
        raise jwt.InvalidTokenError
    if USER_ID.fullmatch(sub) is None or not 0 < exp < LATEST:
        raise jwt.InvalidTokenError
    try:
        return Claims(int(sub), UUID(sid), datetime.fromtimestamp(exp, UTC))
    except ValueError:
        raise jwt.InvalidTokenError from None


def secret_key(settings: Settings) -> str:
    assert settings.secret_key is not None, "generated at start-up if unset"
    return settings.secret_key.get_secret_value()
