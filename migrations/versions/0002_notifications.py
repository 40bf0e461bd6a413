"""Notify the processes of changes of a member's history and of ended sessions."""

from collections.abc import Sequence

from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# Postgres sends equal notifications of a transaction once, for any number of rows.
TASTE = """
CREATE FUNCTION tell_taste() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM pg_notify('marquee_taste', OLD.user_id::text);
    ELSE
        PERFORM pg_notify('marquee_taste', NEW.user_id::text);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER ratings_tell_taste AFTER INSERT OR UPDATE OR DELETE ON ratings
    FOR EACH ROW WHEN (current_setting('marquee.bulk', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION tell_taste();
CREATE TRIGGER favorite_genres_tell_taste AFTER INSERT OR UPDATE OR DELETE ON favorite_genres
    FOR EACH ROW EXECUTE FUNCTION tell_taste();
CREATE TRIGGER feedback_tell_taste AFTER INSERT ON feedback
    FOR EACH ROW WHEN (NEW.kind IN ('WATCH', 'LIKE', 'DISLIKE', 'NOT_INTERESTED'))
    EXECUTE FUNCTION tell_taste();
"""
SESSION = """
CREATE FUNCTION tell_session() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('marquee_session', OLD.id::text);
    RETURN NULL;
END $$;
CREATE TRIGGER sessions_tell_end AFTER UPDATE OF ended_at OR DELETE ON sessions
    FOR EACH ROW EXECUTE FUNCTION tell_session();
"""


def upgrade() -> None:
    op.execute(TASTE)
    op.execute(SESSION)


def downgrade() -> None:
    op.execute("DROP FUNCTION tell_taste, tell_session CASCADE")
