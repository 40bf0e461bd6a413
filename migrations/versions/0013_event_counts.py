"""Count each member's events by kind as they come and go, so that a total does not count them all."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0013"
down_revision: str | None = "0012"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# A statement at a time, in one order: two that count for several members do not wait for each other.
COUNTING = """
CREATE FUNCTION count_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO event_counts AS counted (user_id, kind, events)
        SELECT user_id, kind, count(*) FROM changed GROUP BY user_id, kind ORDER BY user_id, kind
        ON CONFLICT (user_id, kind) DO UPDATE SET events = counted.events + excluded.events;
    ELSE
        WITH gone AS (
            SELECT user_id, kind, count(*) AS events FROM changed GROUP BY user_id, kind
        ), locked AS (
            SELECT user_id, kind FROM event_counts JOIN gone USING (user_id, kind)
            ORDER BY user_id, kind FOR UPDATE OF event_counts
        )
        UPDATE event_counts SET events = event_counts.events - gone.events FROM gone JOIN locked USING (user_id, kind)
        WHERE event_counts.user_id = gone.user_id AND event_counts.kind = gone.kind;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER feedback_count_events AFTER INSERT ON feedback REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_events();
CREATE TRIGGER feedback_discount_events AFTER DELETE ON feedback REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_events();
"""


def upgrade() -> None:
    op.create_table(
        "event_counts",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("event_counts_user_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "kind", name=op.f("event_counts_pkey")),
        postgresql_with={"fillfactor": 70},
    )
    op.execute(COUNTING)  # it keeps writers out until the events that are there are counted
    op.execute("INSERT INTO event_counts SELECT user_id, kind, count(*) FROM feedback GROUP BY user_id, kind")


def downgrade() -> None:
    op.execute("DROP TRIGGER feedback_count_events ON feedback")
    op.execute("DROP TRIGGER feedback_discount_events ON feedback")
    op.execute("DROP FUNCTION count_events")
    op.drop_table("event_counts")
