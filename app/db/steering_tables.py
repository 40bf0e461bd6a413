"""Tables of what steers lists: promotions of operators, preferences of members, and movie nights."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from app.db.tables import Base, identity, one_of, owned_by


class Promotion(Base):
    """A promotion of a movie, a genre or a collection. A trigger notifies the processes of a change.

    `strength`: of a BOOST, in standard deviations of the scores of a list.
    """

    __tablename__ = "promotions"
    __table_args__ = (
        one_of("kind", "PIN", "BOOST"),
        CheckConstraint("num_nonnulls(movie_id, genre_id, collection) = 1", name="subject"),
        CheckConstraint("(kind = 'BOOST') = (strength IS NOT NULL)", name="strength"),
        CheckConstraint("starts_at < ends_at", name="ends_at"),
        Index(None, "movie_id"),
        Index(None, "genre_id"),
        Index(None, "created_by"),
    )

    id: Mapped[int] = identity()
    kind: Mapped[str]
    movie_id: Mapped[int | None] = owned_by("movies.id")
    genre_id: Mapped[int | None] = owned_by("genres.id")
    collection: Mapped[str | None]
    strength: Mapped[float | None]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    created_by: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    withdrawn_at: Mapped[datetime | None]


class ListPreference(Base):
    """A member's wish for more or less of a genre, a person or a collection.

    A wish that was taken back or replaced has `ended_at`, so that later pages continue the list that began
    with it. It is deleted a day later.
    """

    __tablename__ = "list_preferences"
    __table_args__ = (
        one_of("direction", "MORE", "LESS"),
        CheckConstraint("num_nonnulls(genre_id, person_id, collection) = 1", name="subject"),
        Index(None, "user_id"),
        Index(None, "genre_id"),
        Index(None, "person_id"),
    )

    id: Mapped[int] = identity()
    user_id: Mapped[int] = owned_by("users.id")
    genre_id: Mapped[int | None] = owned_by("genres.id")
    person_id: Mapped[int | None] = owned_by("people.id")
    collection: Mapped[str | None]
    direction: Mapped[str]
    set_at: Mapped[datetime] = mapped_column(server_default=func.now())
    ended_at: Mapped[datetime | None]


class NightMember(Base):
    """A member of a movie night. Each user has at most one night."""

    __tablename__ = "night_members"
    __table_args__ = (Index(None, "night"),)

    user_id: Mapped[int] = owned_by("users.id", primary_key=True)
    night: Mapped[UUID]
    joined_at: Mapped[datetime] = mapped_column(server_default=func.now())
    ends_at: Mapped[datetime]
