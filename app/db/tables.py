"""Declarative tables. Triggers and extensions, which SQLAlchemy cannot declare, are in migrations/."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from pgvector.sqlalchemy import Vector
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Computed,
    Date,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, REAL, TSVECTOR
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

VECTOR_WIDTH = 128

# Titles match literally, in any language; English overviews match by stems.
SEARCH_VECTOR = (
    "setweight(to_tsvector('simple', title), 'A') || "
    "setweight(to_tsvector('simple', coalesce(original_title, '')), 'A') || "
    "setweight(to_tsvector('english', coalesce(overview, '')), 'C')"
)


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "%(table_name)s_%(column_0_N_name)s_idx",
            "uq": "%(table_name)s_%(column_0_N_name)s_key",
            "ck": "%(table_name)s_%(constraint_name)s_check",
            "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
            "pk": "%(table_name)s_pkey",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads a plain class attribute
        int: BigInteger,
        str: Text,
        float: REAL,
        datetime: DateTime(timezone=True),
        date: Date,
        UUID: Uuid,
        bytes: LargeBinary,
        dict[str, Any]: JSONB,
    }


def one_of(column: str, *values: str) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(repr(value) for value in values)})", name=column)


def identity() -> Mapped[int]:
    return mapped_column(Identity(always=False), primary_key=True)


def owned_by(column: str, **options: Any) -> Mapped[Any]:
    return mapped_column(ForeignKey(column, ondelete="CASCADE"), **options)


class User(Base):
    __tablename__ = "users"
    __table_args__ = (
        Index("users_username_key", func.lower(text("username")), unique=True),
        Index("users_username_key_key", "username_key", unique=True),
        Index("users_skeleton_key", "skeleton", unique=True),
        Index("users_skeleton_as_written_key", "skeleton_as_written", unique=True),
        one_of("role", "USER", "CURATOR", "ADMIN"),
    )

    id: Mapped[int] = identity()
    username: Mapped[str]
    # See `app.accounts.usernames`; null for members of data sets, and if an older account has the same.
    username_key: Mapped[str | None]
    skeleton: Mapped[str | None]
    skeleton_as_written: Mapped[str | None]
    password_hash: Mapped[str | None]  # null for members of data sets, who cannot log in
    role: Mapped[str] = mapped_column(server_default="USER")
    simulated: Mapped[bool] = mapped_column(server_default=text("false"))
    source: Mapped[str | None]  # the member's data set
    discoverable: Mapped[bool] = mapped_column(server_default=text("false"))  # by other members
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Movie(Base):
    __tablename__ = "movies"
    __table_args__ = (
        Index("movies_search_idx", "search", postgresql_using="gin"),
        Index(None, "title", "id"),
        Index(None, "release_date", "id"),
        Index("movies_hidden_at_idx", "hidden_at", "id", postgresql_where=text("hidden_at IS NOT NULL")),
    )

    id: Mapped[int] = identity()
    movielens_id: Mapped[int | None] = mapped_column(unique=True)
    tmdb_id: Mapped[int | None] = mapped_column(unique=True)
    imdb_id: Mapped[str | None] = mapped_column(unique=True)
    title: Mapped[str]
    original_title: Mapped[str | None]
    year: Mapped[int | None] = mapped_column(SmallInteger)
    release_date: Mapped[date | None]
    runtime_minutes: Mapped[int | None] = mapped_column(SmallInteger)
    original_language: Mapped[str | None]
    countries: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    overview: Mapped[str | None]
    keywords: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    collection: Mapped[str | None]  # the franchise, named as on TMDB
    poster_path: Mapped[str | None]  # a TMDB path or a URL
    tagline: Mapped[str | None]
    backdrop_path: Mapped[str | None]  # a TMDB path or a URL
    trailer_url: Mapped[str | None]
    certification: Mapped[str | None]  # of the United States, such as PG-13
    localized_titles: Mapped[dict[str, Any]] = mapped_column(server_default="{}")  # by ISO 639-1 code
    popularity: Mapped[float | None]
    vote_average: Mapped[float | None]  # 0 to 10, from TMDB
    vote_count: Mapped[int | None]
    attributes: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))  # without a column
    hidden_at: Mapped[datetime | None]  # from all lists; null for a movie that lists may show
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())
    search: Mapped[Any] = mapped_column(TSVECTOR, Computed(SEARCH_VECTOR, persisted=True))


class MovieExternalId(Base):
    """The id of a movie in another system."""

    __tablename__ = "movie_external_ids"
    __table_args__ = (UniqueConstraint("movie_id", "source"),)

    source: Mapped[str] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True)
    movie_id: Mapped[int] = owned_by("movies.id")


class MovieTitle(Base):
    """A title of a movie in one source, including the current one.

    A trigger on `movies` stores a title that an update replaces as FORMER.
    """

    __tablename__ = "movie_titles"
    __table_args__ = (
        one_of("source", "MOVIELENS", "TMDB", "MOVIETWEETINGS", "BUNDLED", "FORMER"),
        CheckConstraint("char_length(title) BETWEEN 1 AND 500", name="title_length"),
    )

    movie_id: Mapped[int] = owned_by("movies.id", primary_key=True)
    title: Mapped[str] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(primary_key=True)


# Titles besides the title and the original title, sorted: a column of a statement that reads `movies`.
ALTERNATIVE_TITLES = """
    ARRAY(SELECT DISTINCT named.title COLLATE "C" FROM (
              SELECT movie_titles.title FROM movie_titles WHERE movie_id = movies.id
              UNION ALL SELECT value FROM jsonb_each_text(localized_titles)) AS named
          WHERE named.title <> movies.title AND named.title IS DISTINCT FROM movies.original_title ORDER BY 1)
"""


class MovieStats(Base):
    """Rating statistics, maintained by a trigger on `ratings`. A movie without a row has no ratings."""

    __tablename__ = "movie_stats"
    __table_args__ = (
        Index(None, "updated_at"),
        Index(None, "rating_count", "movie_id"),
        Index(None, "trend", "movie_id"),
        {"postgresql_with": {"fillfactor": 70}},  # room for updates on the same page
    )

    movie_id: Mapped[int] = owned_by("movies.id", primary_key=True)
    rating_count: Mapped[int]
    half_stars_sum: Mapped[int]
    trend: Mapped[float] = mapped_column(Double, server_default=text("0"))  # summed `trend_weight` of ratings
    updated_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class MovieVector(Base):
    """The content vector of a movie, of norm 1, from the encoder of the active model."""

    __tablename__ = "movie_vectors"
    __table_args__ = (
        Index(
            "movie_vectors_embedding_idx",
            "embedding",
            postgresql_using="hnsw",
            postgresql_ops={"embedding": "vector_cosine_ops"},
        ),
    )

    movie_id: Mapped[int] = owned_by("movies.id", primary_key=True)
    embedding: Mapped[Any] = mapped_column(Vector(VECTOR_WIDTH))
    model_version: Mapped[str]


class Genre(Base):
    __tablename__ = "genres"

    id: Mapped[int] = identity()
    name: Mapped[str] = mapped_column(unique=True)


class MovieGenre(Base):
    __tablename__ = "movie_genres"
    __table_args__ = (Index(None, "genre_id"),)

    movie_id: Mapped[int] = owned_by("movies.id", primary_key=True)
    genre_id: Mapped[int] = owned_by("genres.id", primary_key=True)


class FavoriteGenre(Base):
    __tablename__ = "favorite_genres"
    __table_args__ = (Index(None, "genre_id"),)

    user_id: Mapped[int] = owned_by("users.id", primary_key=True)
    genre_id: Mapped[int] = owned_by("genres.id", primary_key=True)
    position: Mapped[int] = mapped_column(SmallInteger)


class Person(Base):
    """A person, identified by the TMDB id, or by name if the source has no id."""

    __tablename__ = "people"
    __table_args__ = (
        Index("people_unlinked_name_key", "name", unique=True, postgresql_where=text("tmdb_id IS NULL")),
        Index(None, "name"),
    )

    id: Mapped[int] = identity()
    tmdb_id: Mapped[int | None] = mapped_column(unique=True)
    name: Mapped[str]


class Credit(Base):
    __tablename__ = "credits"
    __table_args__ = (
        one_of("kind", "DIRECTOR", "CAST"),
        Index(None, "person_id"),
    )

    movie_id: Mapped[int] = owned_by("movies.id", primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    person_id: Mapped[int] = owned_by("people.id")
    character: Mapped[str | None]


class CatalogRevision(Base):
    """A single row, incremented by triggers whenever movies, genres, people or credits change."""

    __tablename__ = "catalog_revision"
    __table_args__ = (CheckConstraint("id", name="one_row"),)

    id: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    revision: Mapped[int] = mapped_column(server_default="0")


class CatalogChange(Base):
    """A change of one movie, which incremented the catalog's revision from `since` to `until`.

    Revisions that no row covers changed many movies. Old rows are deleted.
    """

    __tablename__ = "catalog_changes"

    until: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    since: Mapped[int]
    movie_id: Mapped[int]  # not a foreign key, since the movie may be deleted
    changed_at: Mapped[datetime] = mapped_column(server_default=func.now())
