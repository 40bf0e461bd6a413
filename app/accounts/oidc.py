"""Access tokens of an OIDC provider (OIDC_ISSUER): verified against its keys; their subjects are members.

The keys are fetched in a thread, at most once in COOLDOWN seconds, whatever the tokens name. While the issuer
does not answer, the last keys stay in use for STALE seconds.
"""

import asyncio
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import jwt
import orjson
from jwt import PyJWK, PyJWKClient, PyJWKSet
from jwt.exceptions import PyJWKClientConnectionError, PyJWKClientError
from jwt.types import Options

from app.accounts import external_members
from app.accounts.viewer import Role
from app.settings import Settings

COOLDOWN = 30.0  # seconds between two fetches for unknown keys
RETRY = 5.0  # seconds between two fetches without keys, while the issuer does not answer
STALE = 3_600.0
TIMEOUT = 5.0  # seconds for one answer of the issuer
MAX_BYTES = 262_144  # of one answer
LONGEST = 8_000  # characters of a token
LONGEST_KEY_ID = 200
MAX_SUBJECT_LENGTH = 255
MAX_ROLES = 1_000
DISCOVERY = "/.well-known/openid-configuration"
OPTIONS: Options = {"require": ["exp", "iss", "aud", "sub"]}
RANKED = (Role.ADMIN, Role.CURATOR)  # by the role that counts if a token has several
REASONS: dict[type[jwt.InvalidTokenError], str] = {
    jwt.ExpiredSignatureError: "it has expired",
    jwt.ImmatureSignatureError: "it is not valid yet",
    jwt.InvalidAudienceError: "its audience is not that of OIDC_AUDIENCE",
    jwt.InvalidIssuerError: "its issuer is not OIDC_ISSUER",
    jwt.InvalidAlgorithmError: "its algorithm is not one of OIDC_ALGORITHMS",
    jwt.MissingRequiredClaimError: "it lacks a claim of exp, iss, aud and sub",
}

log = logging.getLogger("marquee.oidc")


class IssuerUnavailable(Exception):
    """The issuer's keys cannot be read."""


@dataclass(frozen=True, slots=True)
class TokenSubject:
    """The member that a token names. `role` is None where the tokens' roles do not count."""

    source: str
    external_id: str
    role: Role | None
    expires_at: datetime


class IssuerKeys(PyJWKClient):
    """The signing keys of an issuer, found by its discovery document. Its methods are called in threads."""

    def __init__(self, issuer: str, lifespan: float) -> None:
        super().__init__(issuer + DISCOVERY, lifespan=lifespan, timeout=TIMEOUT, cooldown_duration=COOLDOWN)
        self.issuer = issuer
        self.last: PyJWKSet | None = None
        self.read_at = self.tried_at = float("-inf")

    def known(self, key_id: str) -> PyJWK | None:
        """The key with this id among those that are cached, without a fetch."""
        cached = self.jwk_set_cache and self.jwk_set_cache.get()
        return self.match_kid(self._get_signing_keys_from_jwk_set(cached), key_id) if cached else None

    def fetch_data(self) -> Any:
        """Fetch the keys; without an answer, return the last ones as long as they are not STALE."""
        now = time.monotonic()
        if now >= self.tried_at + RETRY:
            self.tried_at = now
            try:
                self.last, self.read_at = self._fetch(), now
            except (httpx.HTTPError, PyJWKClientError, jwt.PyJWKSetError, ValueError, KeyError) as error:
                log.warning("cannot read the keys of OIDC_ISSUER %s: %s", self.issuer, error)
        if self.last is None or now > self.read_at + STALE:
            raise PyJWKClientConnectionError("The issuer did not answer.")
        return self.last

    def _fetch(self) -> PyJWKSet:
        with httpx.Client(timeout=TIMEOUT, follow_redirects=False) as client:
            found = answer_of(client, self.issuer + DISCOVERY)
            if str(found["issuer"]).rstrip("/") != self.issuer:
                raise PyJWKClientError("its discovery document names another issuer")
            place = str(found["jwks_uri"])
            if not place.startswith("https://") and not self.issuer.startswith("http://"):
                raise PyJWKClientError("its keys are not at an https address")
            return PyJWKSet.from_dict(answer_of(client, place))


def answer_of(client: httpx.Client, url: str) -> dict[str, Any]:
    """The JSON object at an address. Raises ValueError or httpx.HTTPError."""
    deadline = time.monotonic() + TIMEOUT
    body = bytearray()
    with client.stream("GET", url) as answer:
        answer.raise_for_status()
        for chunk in answer.iter_bytes(MAX_BYTES):
            body += chunk
            if len(body) > MAX_BYTES or time.monotonic() > deadline:
                raise ValueError("its answer is too long or too slow")
    value = orjson.loads(body)
    if not isinstance(value, dict):
        raise TypeError("its answer is no JSON object")
    return value


class Issuer:
    """The configured issuer."""

    def __init__(self, settings: Settings, issuer: str) -> None:
        self.settings = settings
        self.issuer = issuer.rstrip("/")
        self.algorithms = settings.oidc_algorithm_names
        self.keys = IssuerKeys(self.issuer, settings.oidc_keys_seconds)
        self.fetching = asyncio.Lock()

    @classmethod
    def of(cls, settings: Settings) -> "Issuer | None":
        return None if settings.oidc_issuer is None else cls(settings, settings.oidc_issuer)

    def issued(self, token: str) -> bool:
        """Whether the token claims to be the issuer's: it has one of its algorithms, which ours have not."""
        try:
            return jwt.get_unverified_header(token[: LONGEST + 1]).get("alg") in self.algorithms
        except (jwt.InvalidTokenError, ValueError, RecursionError):
            return False

    async def subject_of(self, token: str) -> TokenSubject:
        """Verify a token. Raises jwt.InvalidTokenError, or IssuerUnavailable without keys to verify it."""
        if len(token) > LONGEST:
            raise jwt.InvalidTokenError("it is too long")
        key_id = jwt.get_unverified_header(token).get("kid")
        if not isinstance(key_id, str) or not 0 < len(key_id) <= LONGEST_KEY_ID:
            raise jwt.InvalidTokenError("it names no key")
        key = self.keys.known(key_id) or await self._fetched(key_id)
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=list(self.algorithms),
                audience=self.settings.oidc_audience,
                issuer=[self.issuer, f"{self.issuer}/"],
                leeway=self.settings.oidc_clock_skew_seconds,
                options=OPTIONS,
            )
        except (ValueError, TypeError, OverflowError, RecursionError):
            raise jwt.InvalidTokenError("its claims are not valid") from None
        return self._subject(claims)

    async def _fetched(self, key_id: str) -> PyJWK:
        """One thread fetches at a time; others wait for it and find the keys cached."""
        async with self.fetching:
            try:
                return await asyncio.to_thread(self.keys.get_signing_key, key_id)
            except PyJWKClientConnectionError:
                raise IssuerUnavailable from None
            except (PyJWKClientError, jwt.PyJWKSetError):
                raise jwt.InvalidTokenError("its key is not one of the issuer's") from None

    def _subject(self, claims: dict[str, Any]) -> TokenSubject:
        sub, exp = claims["sub"], claims["exp"]
        if not external_members.is_external_id(sub, MAX_SUBJECT_LENGTH):
            raise jwt.InvalidTokenError("its subject is not a valid id")
        claim = self.settings.oidc_roles_claim
        role = None if claim is None else role_in(claims, claim)
        until = datetime.fromtimestamp(int(exp) + self.settings.oidc_clock_skew_seconds, UTC)
        return TokenSubject(self.settings.oidc_source, sub, role, until)


def role_in(claims: dict[str, Any], claim: str) -> Role:
    """The highest role that a claim names, as a text or in a list. Dots lead into objects."""
    value: object = claims.get(claim)
    if value is None:
        value = claims
        for part in claim.split("."):
            value = value.get(part) if isinstance(value, dict) else None
    named = value[:MAX_ROLES] if isinstance(value, list) else [value]
    return next((role for role in RANKED if role in named), Role.USER)


def reason_of(error: jwt.InvalidTokenError) -> str:
    """Why a token is not valid, for the client."""
    found = (reason for kind, reason in REASONS.items() if isinstance(error, kind))
    own = type(error) is jwt.InvalidTokenError and str(error)
    return next(found, own or "its signature or claims are not valid")
