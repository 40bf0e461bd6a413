"""What shelves and members' pages are read from: trends of films, the watchlist, and who may be found."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# Forward decay (Cormode, Shkapenyuk, Srivastava and Xu, ICDE 2009): a rating weighs 2^((rated_at - 2030) / 14 days)
# for ever, which orders films as weights that halve every 14 days from now would, at any moment, and can be summed
# as ratings come and go. Beyond 1991 and 2068 the weights stand still, so that no double overflows.
TREND_WEIGHT = """
CREATE FUNCTION trend_weight(rated_at timestamptz) RETURNS double precision
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT exp(greatest(-700, least(700, (date_part('epoch', rated_at) - 1893456000) / 1745086)))
$$
"""
MOVIE_STATS = """
CREATE OR REPLACE FUNCTION keep_movie_stats() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        UPDATE movie_stats
        SET rating_count = rating_count - 1,
            half_stars_sum = half_stars_sum - OLD.half_stars,
            trend = greatest(trend - trend_weight(OLD.rated_at), 0),
            updated_at = clock_timestamp()
        WHERE movie_id = OLD.movie_id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO movie_stats AS stats (movie_id, rating_count, half_stars_sum, trend)
        VALUES (NEW.movie_id, 1, NEW.half_stars, trend_weight(NEW.rated_at))
        ON CONFLICT (movie_id) DO UPDATE
        SET rating_count = stats.rating_count + 1,
            half_stars_sum = stats.half_stars_sum + NEW.half_stars,
            trend = stats.trend + excluded.trend,
            updated_at = clock_timestamp();
    END IF;
    RETURN NULL;
END $$
"""
MOVIE_STATS_BEFORE = """
CREATE OR REPLACE FUNCTION keep_movie_stats() RETURNS trigger LANGUAGE plpgsql AS $$
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
END $$
"""
PAST_TRENDS = """
UPDATE movie_stats SET trend = past.trend
FROM (SELECT movie_id, sum(trend_weight(rated_at)) AS trend FROM ratings GROUP BY movie_id) AS past
WHERE movie_stats.movie_id = past.movie_id
"""


def upgrade() -> None:
    op.add_column(
        "users", sa.Column("discoverable", sa.Boolean(), server_default=sa.text("true"), nullable=False)
    )
    op.add_column("movie_stats", sa.Column("trend", sa.Double(), server_default=sa.text("0"), nullable=False))
    op.execute(TREND_WEIGHT)
    op.execute(MOVIE_STATS)
    op.execute(PAST_TRENDS)
    op.create_index(op.f("movie_stats_trend_movie_id_idx"), "movie_stats", ["trend", "movie_id"])
    op.create_index(
        "feedback_watchlist_idx",
        "feedback",
        ["user_id", "movie_id"],
        postgresql_where=sa.text("kind = 'WATCHLIST'"),
    )


def downgrade() -> None:
    op.drop_index("feedback_watchlist_idx", "feedback")
    op.drop_index("movie_stats_trend_movie_id_idx", "movie_stats")
    op.execute(MOVIE_STATS_BEFORE)
    op.drop_column("movie_stats", "trend")
    op.drop_column("users", "discoverable")
    op.execute("DROP FUNCTION trend_weight")
