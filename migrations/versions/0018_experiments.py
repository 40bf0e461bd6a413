"""Add experiments and their arms, and the propensities of served lists."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0018"
down_revision: str | None = "0017"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

NOTIFY = """
CREATE FUNCTION tell_experiment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('marquee_experiment', 'all');
    RETURN NULL;
END $$;
CREATE TRIGGER experiments_tell AFTER INSERT OR UPDATE OR DELETE ON experiments
    FOR EACH STATEMENT EXECUTE FUNCTION tell_experiment();
"""


def upgrade() -> None:
    op.create_table(
        "experiments",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("salt", sa.Text(), nullable=False),
        sa.Column("layer", sa.Text(), nullable=False),
        sa.Column("slice_from", sa.Double(), nullable=False),
        sa.Column("slice_to", sa.Double(), nullable=False),
        sa.Column("design", sa.Text(), server_default="FIXED", nullable=False),
        sa.Column("period_hours", sa.SmallInteger(), nullable=True),
        sa.Column("roles", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("min_ratings", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("joined_after", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("report", postgresql.JSONB(), nullable=True),
        sa.CheckConstraint("design IN ('FIXED', 'SWITCHBACK')", name=op.f("experiments_design_check")),
        sa.CheckConstraint(
            "0 <= slice_from AND slice_from < slice_to AND slice_to <= 1",
            name=op.f("experiments_slice_check"),
        ),
        sa.CheckConstraint("starts_at < ends_at", name=op.f("experiments_ends_at_check")),
        sa.CheckConstraint(
            "(design = 'SWITCHBACK') = (period_hours IS NOT NULL)",
            name=op.f("experiments_period_hours_check"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("experiments_pkey")),
        sa.UniqueConstraint("name", name=op.f("experiments_name_key")),
    )
    op.create_table(
        "experiment_arms",
        sa.Column("experiment_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("share", sa.Double(), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=True),
        sa.Column("diversity", sa.Double(), nullable=True),
        sa.Column("exploration", sa.Double(), nullable=True),
        sa.CheckConstraint("share > 0 AND share <= 1", name=op.f("experiment_arms_share_check")),
        sa.CheckConstraint("diversity BETWEEN 0 AND 1", name=op.f("experiment_arms_diversity_check")),
        sa.CheckConstraint("exploration BETWEEN 0 AND 1", name=op.f("experiment_arms_exploration_check")),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiments.id"],
            name=op.f("experiment_arms_experiment_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("experiment_id", "position", name=op.f("experiment_arms_pkey")),
    )
    op.add_column("served_lists", sa.Column("propensities", postgresql.ARRAY(sa.REAL()), nullable=True))
    op.execute(NOTIFY)


def downgrade() -> None:
    op.drop_column("served_lists", "propensities")
    op.drop_table("experiment_arms")
    op.drop_table("experiments")
    op.execute("DROP FUNCTION tell_experiment")
