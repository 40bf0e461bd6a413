"""Index a member's ratings by time, with all that a history needs, so that none of its pages reads the table."""

from collections.abc import Sequence

from alembic import op

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    with op.get_context().autocommit_block():  # members go on rating meanwhile
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ratings_history_idx")  # what a failed attempt leaves
        op.create_index(
            "ratings_history_idx",
            "ratings",
            ["user_id", "rated_at", "movie_id"],
            postgresql_include=["half_stars"],
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("ratings_history_idx", table_name="ratings", postgresql_concurrently=True)
