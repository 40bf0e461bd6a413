"""Index ratings by their time, so that the count of those since a training reads only them.

Most ratings are appended in this order, so a BRIN index is a thousandth of the size of a B-tree.
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0019"
down_revision: str | None = "0018"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    with op.get_context().autocommit_block():  # members go on rating meanwhile
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ratings_rated_at_brin_idx")  # of a failed attempt
        op.create_index(
            "ratings_rated_at_brin_idx",
            "ratings",
            ["rated_at"],
            postgresql_using="brin",
            postgresql_with={"pages_per_range": 32, "autosummarize": "on"},
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("ratings_rated_at_brin_idx", table_name="ratings", postgresql_concurrently=True)
