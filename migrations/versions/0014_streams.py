"""Add the tables of event streams and implicit ratings, and count ratings a statement at a time.

A stream stores thousands of ratings in a statement, for which a trigger a row costs more than the rows.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0014"
down_revision: str | None = "0013"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# Statistics are locked in the order of movies: two statements that change several do not wait for each other.
COUNTING = """
DROP TRIGGER ratings_keep_movie_stats ON ratings;
DROP TRIGGER ratings_tell_taste ON ratings;
CREATE FUNCTION count_ratings() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO movie_stats AS stats (movie_id, rating_count, half_stars_sum, trend)
        SELECT movie_id, count(*), sum(half_stars), sum(trend_weight(rated_at)) FROM added
        GROUP BY movie_id ORDER BY movie_id
        ON CONFLICT (movie_id) DO UPDATE
        SET rating_count = stats.rating_count + excluded.rating_count,
            half_stars_sum = stats.half_stars_sum + excluded.half_stars_sum,
            trend = stats.trend + excluded.trend,
            updated_at = clock_timestamp();
        PERFORM pg_notify('marquee_taste', user_id::text) FROM (SELECT DISTINCT user_id FROM added) AS raters;
    ELSIF TG_OP = 'UPDATE' THEN
        INSERT INTO movie_stats AS stats (movie_id, rating_count, half_stars_sum, trend)
        SELECT movie_id, sum(rating_count), sum(half_stars), sum(trend) FROM (
            SELECT movie_id, 1 AS rating_count, half_stars, trend_weight(rated_at) AS trend FROM added
            UNION ALL SELECT movie_id, -1, -half_stars, -trend_weight(rated_at) FROM removed
        ) AS change GROUP BY movie_id ORDER BY movie_id
        ON CONFLICT (movie_id) DO UPDATE
        SET rating_count = stats.rating_count + excluded.rating_count,
            half_stars_sum = stats.half_stars_sum + excluded.half_stars_sum,
            trend = greatest(stats.trend + excluded.trend, 0),
            updated_at = clock_timestamp();
        PERFORM pg_notify('marquee_taste', user_id::text) FROM (SELECT DISTINCT user_id FROM added) AS raters;
    ELSE
        WITH gone AS (
            SELECT movie_id, count(*) AS rating_count, sum(half_stars) AS half_stars_sum,
                sum(trend_weight(rated_at)) AS trend
            FROM removed GROUP BY movie_id
        ), locked AS (
            SELECT movie_id FROM movie_stats JOIN gone USING (movie_id) ORDER BY movie_id FOR UPDATE OF movie_stats
        )
        UPDATE movie_stats
        SET rating_count = movie_stats.rating_count - gone.rating_count,
            half_stars_sum = movie_stats.half_stars_sum - gone.half_stars_sum,
            trend = greatest(movie_stats.trend - gone.trend, 0),
            updated_at = clock_timestamp()
        FROM gone JOIN locked USING (movie_id) WHERE movie_stats.movie_id = gone.movie_id;
        PERFORM pg_notify('marquee_taste', user_id::text) FROM (SELECT DISTINCT user_id FROM removed) AS raters;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER ratings_count_added AFTER INSERT ON ratings REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT WHEN (current_setting('marquee.bulk', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION count_ratings();
CREATE TRIGGER ratings_count_changed AFTER UPDATE ON ratings REFERENCING NEW TABLE AS added OLD TABLE AS removed
    FOR EACH STATEMENT WHEN (current_setting('marquee.bulk', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION count_ratings();
CREATE TRIGGER ratings_count_removed AFTER DELETE ON ratings REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT WHEN (current_setting('marquee.bulk', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION count_ratings();
"""
COUNTING_BEFORE = """
DROP TRIGGER ratings_count_added ON ratings;
DROP TRIGGER ratings_count_changed ON ratings;
DROP TRIGGER ratings_count_removed ON ratings;
DROP FUNCTION count_ratings;
CREATE TRIGGER ratings_keep_movie_stats AFTER INSERT OR UPDATE OF half_stars OR DELETE ON ratings
    FOR EACH ROW WHEN (current_setting('marquee.bulk', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION keep_movie_stats();
CREATE TRIGGER ratings_tell_taste AFTER INSERT OR UPDATE OR DELETE ON ratings
    FOR EACH ROW WHEN (current_setting('marquee.bulk', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION tell_taste();
"""


def upgrade() -> None:
    op.add_column(
        "ratings", sa.Column("implicit", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.execute(COUNTING)
    op.create_table(
        "external_members",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "first_seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("external_members_user_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("source", "external_id", name=op.f("external_members_pkey")),
        sa.UniqueConstraint("user_id", name=op.f("external_members_user_id_key")),
    )
    op.create_table(
        "stream_positions",
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("partition", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("next_position", sa.BigInteger(), nullable=False),
        sa.Column("end_position", sa.BigInteger(), nullable=True),
        sa.Column("stored_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("stream", "partition", name=op.f("stream_positions_pkey")),
    )
    op.create_table(
        "stream_counts",
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("stream", "outcome", name=op.f("stream_counts_pkey")),
        postgresql_with={"fillfactor": 70},
    )
    create_dead_letters()


def create_dead_letters() -> None:
    op.create_table(
        "dead_letters",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("partition", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("raw_line", sa.Text(), nullable=False),
        sa.Column("is_whole", sa.Boolean(), nullable=False),
        sa.Column("default_source", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("dead_letters_user_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("dead_letters_pkey")),
    )
    op.create_index(op.f("dead_letters_reason_id_idx"), "dead_letters", ["reason", "id"])
    op.create_index(op.f("dead_letters_received_at_idx"), "dead_letters", ["received_at"])
    op.create_index(op.f("dead_letters_source_external_id_idx"), "dead_letters", ["source", "external_id"])
    op.create_index(op.f("dead_letters_user_id_idx"), "dead_letters", ["user_id"])


def downgrade() -> None:
    for table in ("dead_letters", "stream_counts", "stream_positions", "external_members"):
        op.drop_table(table)
    op.execute(COUNTING_BEFORE)
    op.drop_column("ratings", "implicit")
