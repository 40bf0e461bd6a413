"""Tables of members' activity: ratings, feedback events and their counts."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, SmallInteger, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.tables import Base, identity, one_of, owned_by


class Rating(Base):
    """The last rating that a member gave a movie.

    `first_rated_at`: the time of their first rating of the movie; null if that is `rated_at`: null takes no
    space. A model that learned from the first rating knows the pair: see `app.training.gate`.
    """

    __tablename__ = "ratings"
    __table_args__ = (
        CheckConstraint("half_stars BETWEEN 1 AND 10", name="half_stars"),
        Index(None, "movie_id", "half_stars"),  # for histograms
        # A covering index for histories, by time.
        Index("ratings_history_idx", "user_id", "rated_at", "movie_id", postgresql_include=["half_stars"]),
        Index(
            "ratings_rated_at_brin_idx",
            "rated_at",
            postgresql_using="brin",
            postgresql_with={"pages_per_range": 32, "autosummarize": "on"},
        ),
    )

    user_id: Mapped[int] = owned_by("users.id", primary_key=True)
    movie_id: Mapped[int] = owned_by("movies.id", primary_key=True)
    half_stars: Mapped[int] = mapped_column(SmallInteger)
    rated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    implicit: Mapped[bool] = mapped_column(server_default=text("false"))  # inferred from watching
    first_rated_at: Mapped[datetime | None]


class Feedback(Base):
    """Events of users on movies. Their user may delete them.

    They are never changed, except that of a stream's progress reports on a movie the furthest is kept.
    """

    __tablename__ = "feedback"
    __table_args__ = (
        one_of("kind", "IMPRESSION", "CLICK", "WATCH", "LIKE", "DISLIKE", "NOT_INTERESTED", "WATCHLIST"),
        CheckConstraint("watched_fraction BETWEEN 0 AND 1", name="watched_fraction"),
        CheckConstraint("position >= 0", name="position"),
        UniqueConstraint("user_id", "idempotency_key"),
        Index(None, "user_id", "occurred_at"),
        Index(None, "movie_id"),
        # Events are appended in this order, and a BRIN index is small.
        Index(
            "feedback_received_at_brin_idx",
            "received_at",
            postgresql_using="brin",
            postgresql_with={"pages_per_range": 32, "autosummarize": "on"},
        ),
        # Graded events, without impressions, which are most of the events.
        Index(
            "feedback_signals_idx",
            "user_id",
            "movie_id",
            postgresql_where=text("kind IN ('LIKE', 'DISLIKE', 'NOT_INTERESTED', 'WATCH')"),
        ),
        Index("feedback_watchlist_idx", "user_id", "movie_id", postgresql_where=text("kind = 'WATCHLIST'")),
    )

    id: Mapped[int] = identity()
    user_id: Mapped[int] = owned_by("users.id")
    movie_id: Mapped[int] = owned_by("movies.id")
    kind: Mapped[str]
    request_id: Mapped[UUID | None]
    position: Mapped[int | None] = mapped_column(SmallInteger)
    watched_fraction: Mapped[float | None]
    occurred_at: Mapped[datetime]
    received_at: Mapped[datetime] = mapped_column(server_default=func.now())
    idempotency_key: Mapped[str | None]


class EventCount(Base):
    """The number of a member's events of a kind, maintained by triggers on `feedback`."""

    __tablename__ = "event_counts"
    __table_args__ = ({"postgresql_with": {"fillfactor": 70}},)  # room for updates on the same page

    user_id: Mapped[int] = owned_by("users.id", primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    events: Mapped[int]
