"""Account tables: sessions, refresh tokens, log-in throttling, API keys, merged members, the audit log."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.db.tables import Base, identity, owned_by


class Session(Base):
    """A session, to which all its refresh tokens belong (a token family)."""

    __tablename__ = "sessions"
    __table_args__ = (Index(None, "user_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[int] = owned_by("users.id")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    refreshed_at: Mapped[datetime | None]
    address: Mapped[str | None]  # of the client that logged in
    agent: Mapped[str | None]  # its User-Agent header


class RefreshToken(Base):
    __tablename__ = "refresh_tokens"
    __table_args__ = (Index(None, "session_id"),)

    token_hash: Mapped[bytes] = mapped_column(primary_key=True)
    session_id: Mapped[UUID] = owned_by("sessions.id")
    issued_at: Mapped[datetime] = mapped_column(server_default=func.now())
    used_at: Mapped[datetime | None]


class KnownNetwork(Base):
    """A network from which a member has signed in; see `app.accounts.login_throttle`."""

    __tablename__ = "known_networks"

    user_id: Mapped[int] = owned_by("users.id", primary_key=True)
    network: Mapped[str] = mapped_column(primary_key=True)
    last_seen_at: Mapped[datetime] = mapped_column(server_default=func.now())


class SignInAttempt(Base):
    """A log-in limit, as the time when all its attempts are restored; see `app.accounts.login_throttle`."""

    __tablename__ = "sign_in_attempts"
    __table_args__ = (Index(None, "forgotten_at"),)

    key: Mapped[bytes] = mapped_column(primary_key=True)
    forgotten_at: Mapped[datetime]


class ApiKey(Base):
    """A service's API key. Only its hash is stored."""

    __tablename__ = "api_keys"
    __table_args__ = (Index(None, "created_by"),)

    id: Mapped[int] = identity()
    key_hash: Mapped[bytes] = mapped_column(unique=True)
    beginning: Mapped[str]  # of the key, to identify it
    name: Mapped[str]
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    source: Mapped[str | None]  # of the members for whom a key with the scope MEMBERS acts
    created_by: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class AuditEntry(Base):
    """An operator's action. A row is inserted, gets its outcome, and is then only anonymized."""

    __tablename__ = "audit_log"
    __table_args__ = (Index(None, "user_id"), Index(None, "api_key_id"))

    id: Mapped[int] = identity()
    begun_at: Mapped[datetime] = mapped_column(server_default=func.now())
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    api_key_id: Mapped[int | None] = mapped_column(ForeignKey("api_keys.id", ondelete="SET NULL"))
    act: Mapped[str]
    arguments: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    outcome: Mapped[str | None]  # null while it runs, or if the process died
    address: Mapped[str | None]


class MergedVisitor(Base):
    """A visitor whose choices an account has taken over, by the id that the client gave the visitor."""

    __tablename__ = "merged_visitors"

    user_id: Mapped[int] = owned_by("users.id", primary_key=True)
    visitor_id: Mapped[str] = mapped_column(primary_key=True)
    merged_at: Mapped[datetime] = mapped_column(server_default=func.now())


class MemberBatch(Base):
    """A batch of rows that a key sent for members, with its outcome, which a retry gets again."""

    __tablename__ = "member_batches"
    __table_args__ = (Index(None, "stored_at"),)

    api_key_id: Mapped[int] = owned_by("api_keys.id", primary_key=True)
    idempotency_key: Mapped[str] = mapped_column(primary_key=True)
    checksum: Mapped[bytes]  # of the rows
    outcome: Mapped[dict[str, Any]]
    stored_at: Mapped[datetime] = mapped_column(server_default=func.now())
