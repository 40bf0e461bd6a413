"""Let API keys act for the members of a source, and members be merged into an account.

Several external ids may belong to one account from here on, so the constraint that a member has one of them is
replaced by an index, which does not block writes.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0020"
down_revision: str | None = "0019"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# Subscriptions of a key end when it is revoked.
REVOCATION = """
CREATE FUNCTION tell_revocation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('marquee_session', 'key ' || OLD.id);
    RETURN NULL;
END $$;
CREATE TRIGGER api_keys_tell_revocation AFTER UPDATE OF revoked_at OR DELETE ON api_keys
    FOR EACH ROW EXECUTE FUNCTION tell_revocation();
"""


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("source", sa.Text(), nullable=True))
    op.execute(REVOCATION)
    op.create_table(
        "merged_visitors",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("visitor_id", sa.Text(), nullable=False),
        sa.Column("merged_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("merged_visitors_user_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "visitor_id", name=op.f("merged_visitors_pkey")),
    )
    op.create_table(
        "member_batches",
        sa.Column("api_key_id", sa.BigInteger(), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=False),
        sa.Column("checksum", sa.LargeBinary(), nullable=False),
        sa.Column("outcome", postgresql.JSONB(), nullable=False),
        sa.Column("stored_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["api_key_id"], ["api_keys.id"], name=op.f("member_batches_api_key_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("api_key_id", "idempotency_key", name=op.f("member_batches_pkey")),
    )
    op.create_index(op.f("member_batches_stored_at_idx"), "member_batches", ["stored_at"])
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS external_members_user_id_idx")  # of a failed attempt
        op.create_index(
            "external_members_user_id_idx", "external_members", ["user_id"], postgresql_concurrently=True
        )
    op.drop_constraint("external_members_user_id_key", "external_members")


def downgrade() -> None:
    # Of several external ids of an account, the first is kept.
    op.execute(
        "DELETE FROM external_members USING external_members AS first WHERE first.user_id = "
        "external_members.user_id AND (first.first_seen_at, first.source, first.external_id) < "
        "(external_members.first_seen_at, external_members.source, external_members.external_id)"
    )
    op.create_unique_constraint("external_members_user_id_key", "external_members", ["user_id"])
    op.drop_index("external_members_user_id_idx", table_name="external_members")
    op.drop_table("member_batches")
    op.drop_table("merged_visitors")
    op.execute("DROP FUNCTION tell_revocation CASCADE")
    op.drop_column("api_keys", "source")
