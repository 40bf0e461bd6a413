"""Record the lists served, the states of models, and the data and code of each training."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0015"
down_revision: str | None = "0014"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "served_lists",
        sa.Column("served_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("model_state", sa.Uuid(), nullable=False),
        sa.Column("arm", sa.Text(), nullable=True),
        sa.Column("history_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("parameters", postgresql.JSONB(), nullable=False),
        sa.Column("inputs", sa.LargeBinary(), nullable=False),
        sa.Column("movie_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("ranks", postgresql.ARRAY(sa.Integer()), nullable=False),
        sa.Column("scores", postgresql.ARRAY(sa.REAL()), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("served_lists_user_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("served_at", "id", name=op.f("served_lists_pkey")),
        postgresql_partition_by="RANGE (served_at)",
    )
    op.create_index("served_lists_request_id_idx", "served_lists", ["request_id"])
    op.create_index("served_lists_user_id_idx", "served_lists", ["user_id"])
    op.create_table(
        "served_inputs",
        sa.Column("served_on", sa.Date(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("served_inputs_user_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("served_on", "digest", name=op.f("served_inputs_pkey")),
        postgresql_partition_by="RANGE (served_on)",
    )
    op.create_index("served_inputs_user_id_idx", "served_inputs", ["user_id"])
    # It is compressed before it is stored.
    op.execute("ALTER TABLE served_inputs ALTER COLUMN content SET STORAGE EXTERNAL")
    op.create_table(
        "model_states",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("line", sa.Uuid(), nullable=False),
        sa.Column("before", sa.Uuid(), nullable=True),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("code_version", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("kind IN ('LOADED', 'MOVIES', 'FACTORS')", name=op.f("model_states_kind_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("model_states_pkey")),
    )
    op.create_index("model_states_line_used_at_idx", "model_states", ["line", "used_at"])
    op.create_table(
        "training_data",
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("snapshot", sa.Text(), nullable=False),
        sa.Column("catalog_revision", sa.BigInteger(), nullable=False),
        sa.Column("movie_count", sa.BigInteger(), nullable=False),
        sa.Column("member_count", sa.BigInteger(), nullable=False),
        sa.Column("rating_count", sa.BigInteger(), nullable=False),
        sa.Column("first_rated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_rated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("checksum", sa.Text(), nullable=False),
        sa.Column("sources", postgresql.JSONB(), nullable=False),
        sa.Column("rules", postgresql.JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("training_data_pkey")),
    )
    op.add_column("model_versions", sa.Column("training", postgresql.JSONB(), nullable=True))


def downgrade() -> None:
    op.drop_column("model_versions", "training")
    op.drop_table("training_data")
    op.drop_table("model_states")
    op.drop_table("served_inputs")
    op.drop_table("served_lists")
