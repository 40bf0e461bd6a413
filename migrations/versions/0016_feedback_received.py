"""Index events by the time they were received, so that the figures of the last hour read only its events.

Events are appended in this order, so a BRIN index is a thousandth of the size of a B-tree.
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0016"
down_revision: str | None = "0015"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    with op.get_context().autocommit_block():  # members go on sending events meanwhile
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS feedback_received_at_brin_idx")  # of a failed attempt
        op.create_index(
            "feedback_received_at_brin_idx",
            "feedback",
            ["received_at"],
            postgresql_using="brin",
            postgresql_with={"pages_per_range": 32, "autosummarize": "on"},
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("feedback_received_at_brin_idx", table_name="feedback", postgresql_concurrently=True)
