"""The first schema: accounts, catalogue, ratings, feedback, models."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from pgvector.sqlalchemy import Vector
from sqlalchemy.dialects import postgresql

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# Exact under concurrent writers: the trigger counts the OLD and the NEW of the row itself. A bulk load
# switches it off for its transaction and computes the table anew in one statement.
MOVIE_STATS = """
CREATE FUNCTION keep_movie_stats() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        UPDATE movie_stats
        SET rating_count = rating_count - 1,
            half_stars_sum = half_stars_sum - OLD.half_stars,
            updated_at = clock_timestamp()
        WHERE movie_id = OLD.movie_id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO movie_stats AS stats (movie_id, rating_count, half_stars_sum)
        VALUES (NEW.movie_id, 1, NEW.half_stars)
        ON CONFLICT (movie_id) DO UPDATE
        SET rating_count = stats.rating_count + 1,
            half_stars_sum = stats.half_stars_sum + NEW.half_stars,
            updated_at = clock_timestamp();
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER ratings_keep_movie_stats AFTER INSERT OR UPDATE OF half_stars OR DELETE ON ratings
    FOR EACH ROW WHEN (current_setting('marquee.bulk', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION keep_movie_stats();
"""

# Processes hold the catalogue in memory and read it again when this number has moved.
CATALOG_REVISION = """
INSERT INTO catalog_revision DEFAULT VALUES;
CREATE FUNCTION count_catalog_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE catalog_revision SET revision = revision + 1;
    RETURN NULL;
END $$;
"""
CATALOG_TABLES = ("movies", "movie_genres", "genres", "credits", "people")


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS vector")
    op.create_table(
        "catalog_revision",
        sa.Column("id", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("revision", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint("id", name=op.f("catalog_revision_one_row_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("catalog_revision_pkey")),
    )
    op.create_table(
        "dataset_versions",
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("simulated", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("movie_count", sa.BigInteger(), nullable=False),
        sa.Column("member_count", sa.BigInteger(), nullable=False),
        sa.Column("rating_count", sa.BigInteger(), nullable=False),
        sa.Column("loaded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("dataset_versions_pkey")),
    )
    op.create_table(
        "genres",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("genres_pkey")),
        sa.UniqueConstraint("name", name=op.f("genres_name_key")),
    )
    op.create_table(
        "model_versions",
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("dataset_version", sa.Text(), nullable=False),
        sa.Column("metrics", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("trained_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "status IN ('READY', 'ACTIVE', 'RETIRED')", name=op.f("model_versions_status_check")
        ),
        sa.PrimaryKeyConstraint("version", name=op.f("model_versions_pkey")),
    )
    op.create_index(
        "model_versions_one_active_idx",
        "model_versions",
        ["status"],
        unique=True,
        postgresql_where=sa.text("status = 'ACTIVE'"),
    )
    op.create_table(
        "movies",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("movielens_id", sa.BigInteger(), nullable=True),
        sa.Column("tmdb_id", sa.BigInteger(), nullable=True),
        sa.Column("imdb_id", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("original_title", sa.Text(), nullable=True),
        sa.Column("year", sa.SmallInteger(), nullable=True),
        sa.Column("release_date", sa.Date(), nullable=True),
        sa.Column("runtime_minutes", sa.SmallInteger(), nullable=True),
        sa.Column("original_language", sa.Text(), nullable=True),
        sa.Column("countries", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("overview", sa.Text(), nullable=True),
        sa.Column("keywords", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("collection", sa.Text(), nullable=True),
        sa.Column("poster_path", sa.Text(), nullable=True),
        sa.Column("popularity", sa.REAL(), nullable=True),
        sa.Column("vote_average", sa.REAL(), nullable=True),
        sa.Column("vote_count", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "search",
            postgresql.TSVECTOR(),
            sa.Computed(
                "setweight(to_tsvector('simple', title), 'A') || setweight(to_tsvector('simple', coalesce(original_title, '')), 'A') || setweight(to_tsvector('english', coalesce(overview, '')), 'C')",
                persisted=True,
            ),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("movies_pkey")),
        sa.UniqueConstraint("imdb_id", name=op.f("movies_imdb_id_key")),
        sa.UniqueConstraint("movielens_id", name=op.f("movies_movielens_id_key")),
        sa.UniqueConstraint("tmdb_id", name=op.f("movies_tmdb_id_key")),
    )
    op.create_index(op.f("movies_release_date_id_idx"), "movies", ["release_date", "id"], unique=False)
    op.create_index("movies_search_idx", "movies", ["search"], unique=False, postgresql_using="gin")
    op.create_index(op.f("movies_title_id_idx"), "movies", ["title", "id"], unique=False)
    op.create_table(
        "people",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("tmdb_id", sa.BigInteger(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("people_pkey")),
        sa.UniqueConstraint("tmdb_id", name=op.f("people_tmdb_id_key")),
    )
    op.create_index(op.f("people_name_idx"), "people", ["name"], unique=False)
    op.create_index(
        "people_unlinked_name_key",
        "people",
        ["name"],
        unique=True,
        postgresql_where=sa.text("tmdb_id IS NULL"),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("role", sa.Text(), server_default="USER", nullable=False),
        sa.Column("simulated", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("role IN ('USER', 'CURATOR', 'ADMIN')", name=op.f("users_role_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("users_pkey")),
    )
    op.create_index("users_username_key", "users", [sa.literal_column("lower(username)")], unique=True)
    op.create_table(
        "credits",
        sa.Column("movie_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("character", sa.Text(), nullable=True),
        sa.CheckConstraint("kind IN ('DIRECTOR', 'CAST')", name=op.f("credits_kind_check")),
        sa.ForeignKeyConstraint(
            ["movie_id"], ["movies.id"], name=op.f("credits_movie_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["people.id"], name=op.f("credits_person_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("movie_id", "kind", "position", name=op.f("credits_pkey")),
    )
    op.create_index(op.f("credits_person_id_idx"), "credits", ["person_id"], unique=False)
    op.create_table(
        "favorite_genres",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("genre_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["genre_id"], ["genres.id"], name=op.f("favorite_genres_genre_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("favorite_genres_user_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "genre_id", name=op.f("favorite_genres_pkey")),
    )
    op.create_index(op.f("favorite_genres_genre_id_idx"), "favorite_genres", ["genre_id"], unique=False)
    op.create_table(
        "feedback",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("movie_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=True),
        sa.Column("position", sa.SmallInteger(), nullable=True),
        sa.Column("watched_fraction", sa.REAL(), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('IMPRESSION', 'CLICK', 'WATCH', 'LIKE', 'DISLIKE', 'NOT_INTERESTED', 'WATCHLIST')",
            name=op.f("feedback_kind_check"),
        ),
        sa.CheckConstraint("position >= 0", name=op.f("feedback_position_check")),
        sa.CheckConstraint("watched_fraction BETWEEN 0 AND 1", name=op.f("feedback_watched_fraction_check")),
        sa.ForeignKeyConstraint(
            ["movie_id"], ["movies.id"], name=op.f("feedback_movie_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("feedback_user_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("feedback_pkey")),
        sa.UniqueConstraint("user_id", "idempotency_key", name=op.f("feedback_user_id_idempotency_key_key")),
    )
    op.create_index(op.f("feedback_movie_id_idx"), "feedback", ["movie_id"], unique=False)
    op.create_index(
        op.f("feedback_user_id_occurred_at_idx"), "feedback", ["user_id", "occurred_at"], unique=False
    )
    op.create_index(
        "feedback_signals_idx",
        "feedback",
        ["user_id", "movie_id"],
        unique=False,
        postgresql_where=sa.text("kind IN ('LIKE', 'DISLIKE', 'NOT_INTERESTED', 'WATCH')"),
    )
    op.create_table(
        "movie_genres",
        sa.Column("movie_id", sa.BigInteger(), nullable=False),
        sa.Column("genre_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["genre_id"], ["genres.id"], name=op.f("movie_genres_genre_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["movie_id"], ["movies.id"], name=op.f("movie_genres_movie_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("movie_id", "genre_id", name=op.f("movie_genres_pkey")),
    )
    op.create_index(op.f("movie_genres_genre_id_idx"), "movie_genres", ["genre_id"], unique=False)
    op.create_table(
        "movie_stats",
        sa.Column("movie_id", sa.BigInteger(), nullable=False),
        sa.Column("rating_count", sa.BigInteger(), nullable=False),
        sa.Column("half_stars_sum", sa.BigInteger(), nullable=False),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["movie_id"], ["movies.id"], name=op.f("movie_stats_movie_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("movie_id", name=op.f("movie_stats_pkey")),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index(
        op.f("movie_stats_rating_count_movie_id_idx"),
        "movie_stats",
        ["rating_count", "movie_id"],
        unique=False,
    )
    op.create_index(op.f("movie_stats_updated_at_idx"), "movie_stats", ["updated_at"], unique=False)
    op.create_table(
        "movie_vectors",
        sa.Column("movie_id", sa.BigInteger(), nullable=False),
        sa.Column("embedding", Vector(128), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["movie_id"], ["movies.id"], name=op.f("movie_vectors_movie_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("movie_id", name=op.f("movie_vectors_pkey")),
    )
    op.create_index(
        "movie_vectors_embedding_idx",
        "movie_vectors",
        ["embedding"],
        unique=False,
        postgresql_using="hnsw",
        postgresql_ops={"embedding": "vector_cosine_ops"},
    )
    op.create_table(
        "ratings",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("movie_id", sa.BigInteger(), nullable=False),
        sa.Column("half_stars", sa.SmallInteger(), nullable=False),
        sa.Column("rated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("half_stars BETWEEN 1 AND 10", name=op.f("ratings_half_stars_check")),
        sa.ForeignKeyConstraint(
            ["movie_id"], ["movies.id"], name=op.f("ratings_movie_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("ratings_user_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "movie_id", name=op.f("ratings_pkey")),
    )
    op.create_index(op.f("ratings_movie_id_idx"), "ratings", ["movie_id"], unique=False)
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("sessions_user_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("sessions_pkey")),
    )
    op.create_index(op.f("sessions_user_id_idx"), "sessions", ["user_id"], unique=False)
    op.create_table(
        "refresh_tokens",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name=op.f("refresh_tokens_session_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("refresh_tokens_pkey")),
    )
    op.create_index(op.f("refresh_tokens_session_id_idx"), "refresh_tokens", ["session_id"], unique=False)
    op.execute(MOVIE_STATS)
    op.execute(CATALOG_REVISION)
    for table in CATALOG_TABLES:
        op.execute(
            f"CREATE TRIGGER {table}_count_catalog_revision "
            f"AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION count_catalog_revision()"
        )


def downgrade() -> None:
    for table in (
        "refresh_tokens",
        "sessions",
        "ratings",
        "movie_vectors",
        "movie_stats",
        "movie_genres",
        "feedback",
        "favorite_genres",
        "credits",
        "users",
        "people",
        "movies",
        "model_versions",
        "genres",
        "dataset_versions",
        "catalog_revision",
    ):
        op.drop_table(table)
    op.execute("DROP FUNCTION keep_movie_stats, count_catalog_revision")
    # The extension stays: another schema of the database may use it.
