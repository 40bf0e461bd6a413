"""API keys, with which services send requests without an account. Only their hashes are stored."""

import enum
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from app.accounts import external_members
from app.accounts.authentication import digest
from app.db.account_tables import ApiKey as Stored
from app.db.engine import Sessions

PREFIX = "mq_"
KEY_BYTES = 32
SHOWN = len(PREFIX) + 6
LONGEST = 100  # characters of a key; ours have 46
MAX_NAME_LENGTH = 100

COLUMNS = (
    Stored.id,
    Stored.name,
    Stored.beginning,
    Stored.scopes,
    Stored.source,
    Stored.created_at,
    Stored.expires_at,
    Stored.revoked_at,
    Stored.last_used_at,
)

# The time of last use is updated at most once a minute: a write for each request would be expensive.
IDENTIFY = text(
    """
    WITH found AS (
        SELECT id, last_used_at FROM api_keys
        WHERE key_hash = :key_hash AND revoked_at IS NULL AND coalesce(expires_at > now(), true)
    ), noted AS (
        UPDATE api_keys SET last_used_at = now() FROM found
        WHERE api_keys.id = found.id AND coalesce(found.last_used_at < now() - interval '1 minute', true)
    )
    SELECT id, name, scopes, source FROM api_keys JOIN found USING (id)
    """
)


class Scope(enum.StrEnum):
    READ = "READ"
    WRITE = "WRITE"
    ADMIN = "ADMIN"
    MEMBERS = "MEMBERS"


class InvalidApiKey(Exception):
    """An expected failure; its message is shown to the client."""


class ApiKeyNotFound(Exception):
    """An expected failure; its message is shown to the client."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """The service that sends a request. `source` is of the members for whom it may act."""

    id: int
    name: str
    scopes: frozenset[Scope]
    source: str | None = None


@dataclass(frozen=True, slots=True)
class KeyRecord:
    id: int
    name: str
    beginning: str
    scopes: tuple[Scope, ...]
    source: str | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    @classmethod
    def of(cls, row: Row[*tuple[Any, ...]]) -> "KeyRecord":
        id_, name, beginning, scopes, source, *times = row
        return cls(id_, name, beginning, tuple(map(Scope, scopes)), source, *times)


def is_api_key(bearer_token: str) -> bool:
    return bearer_token.startswith(PREFIX)


async def create(
    sessions: Sessions,
    user_id: int | None,
    name: str,
    scopes: Collection[Scope],
    expires_at: datetime | None,
    source: str | None = None,
) -> tuple[str, KeyRecord]:
    """Create a key. Returns the key, which is never shown again, and its record. Raises InvalidApiKey."""
    if not (0 < len(name) <= MAX_NAME_LENGTH and name.isprintable()):
        raise InvalidApiKey(f"The name must have 1 to {MAX_NAME_LENGTH} printable characters.")
    if not scopes:
        raise InvalidApiKey("A key needs at least one scope.")
    check_source(scopes, source)
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise InvalidApiKey("A key cannot expire in the past.")
    key = PREFIX + secrets.token_urlsafe(KEY_BYTES)
    record = {
        "key_hash": digest(key),
        "beginning": key[:SHOWN],
        "name": name,
        "scopes": sorted(scopes),
        "source": source,
        "created_by": user_id,
        "expires_at": expires_at,
    }
    async with sessions.begin() as session:
        row = (await session.execute(insert(Stored).values(record).returning(*COLUMNS))).one()
    return key, KeyRecord.of(row)


async def identify(sessions: Sessions, key: str) -> ApiKey | None:
    """Look up a key, in one statement; None for one that is unknown, revoked or expired."""
    if len(key) > LONGEST:
        return None
    async with sessions.begin() as session:
        row = (await session.execute(IDENTIFY, {"key_hash": digest(key)})).one_or_none()
    return None if row is None else ApiKey(row.id, row.name, frozenset(map(Scope, row.scopes)), row.source)


def check_source(scopes: Collection[Scope], source: str | None) -> None:
    """Raises InvalidApiKey unless exactly a key with the scope MEMBERS has a source."""
    if Scope.MEMBERS not in scopes and source is not None:
        raise InvalidApiKey("Only a key with the scope MEMBERS has a source: add the scope, or no source.")
    if Scope.MEMBERS in scopes and source is None:
        raise InvalidApiKey("A key with the scope MEMBERS needs a source, the name of the members' system.")
    if source is not None and not external_members.is_source(source):
        raise InvalidApiKey(f"The source {external_members.SOURCE_RULE}.")


async def keys(sessions: Sessions, count: int, before: int | None) -> list[KeyRecord]:
    """At most `count` keys, newest first, after the one with the id `before`."""
    statement = select(*COLUMNS).order_by(Stored.id.desc()).limit(count)
    if before is not None:
        statement = statement.where(Stored.id < before)
    async with sessions() as session:
        return [KeyRecord.of(row) for row in await session.execute(statement)]


async def keys_by_id(sessions: Sessions, key_ids: Collection[int]) -> dict[int, KeyRecord]:
    async with sessions() as session:
        rows = await session.execute(select(*COLUMNS).where(Stored.id.in_(key_ids)))
        return {row.id: KeyRecord.of(row) for row in rows}


async def revoke(sessions: Sessions, key_id: int) -> KeyRecord:
    """Revoke a key in every process at once. Raises ApiKeyNotFound for a key unknown or already revoked."""
    statement = update(Stored).where(Stored.id == key_id, Stored.revoked_at.is_(None))
    async with sessions.begin() as session:
        row = (
            await session.execute(statement.values(revoked_at=func.now()).returning(*COLUMNS))
        ).one_or_none()
    if row is None:
        raise ApiKeyNotFound("There is no such key, or it is already revoked.")
    return KeyRecord.of(row)
