"""Add the runs of models in shadow mode."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0024"
down_revision: str | None = "0023"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "shadow_runs",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="RUNNING", nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lists", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("failed", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("dropped", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("agreement", sa.Double(), server_default=sa.text("0"), nullable=False),
        sa.Column("active_seconds", sa.Double(), server_default=sa.text("0"), nullable=False),
        sa.Column("candidate_seconds", sa.Double(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("status IN ('RUNNING', 'STOPPED')", name=op.f("shadow_runs_status_check")),
        sa.ForeignKeyConstraint(
            ["version"],
            ["model_versions.version"],
            name=op.f("shadow_runs_version_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("shadow_runs_pkey")),
    )
    op.create_index(op.f("shadow_runs_version_idx"), "shadow_runs", ["version"])
    op.create_index(
        "shadow_runs_one_running_idx",
        "shadow_runs",
        ["status"],
        unique=True,
        postgresql_where=sa.text("status = 'RUNNING'"),
    )


def downgrade() -> None:
    op.drop_table("shadow_runs")
