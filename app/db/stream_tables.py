"""Tables of event streams: their members, positions and counts, and the lines that were refused."""

from datetime import datetime

from sqlalchemy import Index, func
from sqlalchemy.orm import Mapped, mapped_column

from app.db.tables import Base, identity, owned_by


class ExternalMember(Base):
    """The member of a user of another system: an account without a password, or one it was merged into."""

    __tablename__ = "external_members"
    __table_args__ = (Index(None, "user_id"),)

    source: Mapped[str] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[int] = owned_by("users.id")
    first_seen_at: Mapped[datetime] = mapped_column(server_default=func.now())


class StreamPosition(Base):
    """The stored position in a partition of a stream. Written in the transaction that stores its events."""

    __tablename__ = "stream_positions"

    stream: Mapped[str] = mapped_column(primary_key=True)
    partition: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    next_position: Mapped[int]
    end_position: Mapped[int | None]  # of the partition when it was last read; the difference is the lag
    stored_at: Mapped[datetime] = mapped_column(server_default=func.now())


class StreamCount(Base):
    """The number of a stream's events by outcome: STORED, REPEATED, or the reason why they were refused."""

    __tablename__ = "stream_counts"
    __table_args__ = ({"postgresql_with": {"fillfactor": 70}},)  # room for updates on the same page

    stream: Mapped[str] = mapped_column(primary_key=True)
    outcome: Mapped[str] = mapped_column(primary_key=True)
    events: Mapped[int]


class DeadLetter(Base):
    """A line of a stream that was refused. `source` and `external_id` name its member, if it is readable."""

    __tablename__ = "dead_letters"
    __table_args__ = (
        Index(None, "reason", "id"),
        Index(None, "source", "external_id"),
        Index(None, "user_id"),
        Index(None, "received_at"),
    )

    id: Mapped[int] = identity()
    stream: Mapped[str]
    partition: Mapped[int]
    position: Mapped[int]
    reason: Mapped[str]
    rule: Mapped[str]
    raw_line: Mapped[str]
    is_whole: Mapped[bool]  # whether `raw_line` is the whole line, which can be replayed
    default_source: Mapped[str]  # the source of a line that names none
    source: Mapped[str | None]
    external_id: Mapped[str | None]
    user_id: Mapped[int | None] = owned_by("users.id")
    received_at: Mapped[datetime] = mapped_column(server_default=func.now())
