"""The removal of events changes taste, as their arrival does."""

from collections.abc import Sequence

from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# Once for a statement: a member who leaves has any number of events.
TASTE = """
CREATE FUNCTION notify_taste_of_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('marquee_taste', user_id::text) FROM (
        SELECT DISTINCT user_id FROM removed WHERE kind IN ('WATCH', 'LIKE', 'DISLIKE', 'NOT_INTERESTED')
    ) AS members;
    RETURN NULL;
END $$;
CREATE TRIGGER feedback_notify_taste_of_removed AFTER DELETE ON feedback
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION notify_taste_of_removed();
"""


def upgrade() -> None:
    op.execute(TASTE)


def downgrade() -> None:
    op.execute("DROP FUNCTION notify_taste_of_removed CASCADE")
