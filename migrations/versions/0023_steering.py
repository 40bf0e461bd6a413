"""Add promotions, members' preferences, hidden movies, and the promoted movies of served lists."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0023"
down_revision: str | None = "0022"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

NOTIFY = """
CREATE FUNCTION notify_promotion() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('marquee_promotion', 'all');
    RETURN NULL;
END $$;
CREATE TRIGGER promotions_notify AFTER INSERT OR UPDATE OR DELETE ON promotions
    FOR EACH STATEMENT EXECUTE FUNCTION notify_promotion();
CREATE TRIGGER list_preferences_tell_taste AFTER INSERT OR UPDATE ON list_preferences
    FOR EACH ROW EXECUTE FUNCTION tell_taste();
"""


def time(name: str, *, default: bool = False, nullable: bool = False) -> sa.Column[datetime]:
    server_default = sa.text("now()") if default else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=server_default, nullable=nullable)


def identity() -> sa.Column[int]:
    return sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False)


def owned(table: str, column: str, of: str, ondelete: str = "CASCADE") -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column], [f"{of}.id"], name=op.f(f"{table}_{column}_fkey"), ondelete=ondelete
    )


def upgrade() -> None:
    op.add_column("movies", time("hidden_at", nullable=True))
    op.create_index(
        "movies_hidden_at_idx",
        "movies",
        ["hidden_at", "id"],
        postgresql_where=sa.text("hidden_at IS NOT NULL"),
    )
    op.add_column("served_lists", sa.Column("promoted", postgresql.ARRAY(sa.BigInteger()), nullable=True))
    op.create_table(
        "list_preferences",
        identity(),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("genre_id", sa.BigInteger(), nullable=True),
        sa.Column("person_id", sa.BigInteger(), nullable=True),
        sa.Column("collection", sa.Text(), nullable=True),
        sa.Column("direction", sa.Text(), nullable=False),
        time("set_at", default=True),
        time("ended_at", nullable=True),
        sa.CheckConstraint("direction IN ('MORE', 'LESS')", name=op.f("list_preferences_direction_check")),
        sa.CheckConstraint(
            "num_nonnulls(genre_id, person_id, collection) = 1", name=op.f("list_preferences_subject_check")
        ),
        owned("list_preferences", "user_id", "users"),
        owned("list_preferences", "genre_id", "genres"),
        owned("list_preferences", "person_id", "people"),
        sa.PrimaryKeyConstraint("id", name=op.f("list_preferences_pkey")),
    )
    for column in ("user_id", "genre_id", "person_id"):
        op.create_index(op.f(f"list_preferences_{column}_idx"), "list_preferences", [column])
    op.create_table(
        "promotions",
        identity(),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("movie_id", sa.BigInteger(), nullable=True),
        sa.Column("genre_id", sa.BigInteger(), nullable=True),
        sa.Column("collection", sa.Text(), nullable=True),
        sa.Column("strength", sa.REAL(), nullable=True),
        time("starts_at"),
        time("ends_at"),
        time("created_at", default=True),
        sa.Column("created_by", sa.BigInteger(), nullable=True),
        time("withdrawn_at", nullable=True),
        sa.CheckConstraint("kind IN ('PIN', 'BOOST')", name=op.f("promotions_kind_check")),
        sa.CheckConstraint(
            "num_nonnulls(movie_id, genre_id, collection) = 1", name=op.f("promotions_subject_check")
        ),
        sa.CheckConstraint(
            "(kind = 'BOOST') = (strength IS NOT NULL)", name=op.f("promotions_strength_check")
        ),
        sa.CheckConstraint("starts_at < ends_at", name=op.f("promotions_ends_at_check")),
        owned("promotions", "movie_id", "movies"),
        owned("promotions", "genre_id", "genres"),
        owned("promotions", "created_by", "users", "SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("promotions_pkey")),
    )
    for column in ("movie_id", "genre_id", "created_by"):
        op.create_index(op.f(f"promotions_{column}_idx"), "promotions", [column])
    op.execute(NOTIFY)


def downgrade() -> None:
    op.drop_table("promotions")
    op.drop_table("list_preferences")
    op.execute("DROP FUNCTION notify_promotion")
    op.drop_column("served_lists", "promoted")
    op.drop_index("movies_hidden_at_idx", "movies")
    op.drop_column("movies", "hidden_at")
