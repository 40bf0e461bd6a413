"""Trainings that are asked for through the API; models say when they retired, and when their files are gone."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

PROGRESS = """
CREATE FUNCTION tell_training() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('marquee_training', NEW.id::text);
    RETURN NULL;
END $$;
CREATE TRIGGER training_jobs_tell_progress AFTER UPDATE ON training_jobs FOR EACH ROW
    WHEN ((OLD.status, OLD.stage, OLD.fraction, OLD.message) IS DISTINCT FROM
        (NEW.status, NEW.stage, NEW.fraction, NEW.message))
    EXECUTE FUNCTION tell_training();
"""
STATUS = "model_versions_status_check"


def upgrade() -> None:
    op.add_column("model_versions", sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True))
    op.drop_constraint(op.f(STATUS), "model_versions", type_="check")
    op.create_check_constraint(
        op.f(STATUS), "model_versions", "status IN ('READY', 'ACTIVE', 'RETIRED', 'REMOVED')"
    )
    op.create_index(
        op.f("model_versions_trained_at_version_idx"), "model_versions", ["trained_at", "version"]
    )
    op.create_table(
        "training_jobs",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("status", sa.Text(), server_default="QUEUED", nullable=False),
        sa.Column("stage", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("fraction", sa.REAL(), server_default=sa.text("0"), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("claim", sa.Uuid(), nullable=True),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tries", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("requested_by", sa.BigInteger(), nullable=True),
        sa.Column(
            "requested_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("model_version", sa.Text(), nullable=True),
        sa.CheckConstraint("fraction BETWEEN 0 AND 1", name=op.f("training_jobs_fraction_check")),
        sa.CheckConstraint(
            "status IN ('QUEUED', 'RUNNING', 'SUCCEEDED', 'FAILED')", name=op.f("training_jobs_status_check")
        ),
        sa.ForeignKeyConstraint(
            ["model_version"], ["model_versions.version"], name=op.f("training_jobs_model_version_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["requested_by"], ["users.id"], name=op.f("training_jobs_requested_by_fkey"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("training_jobs_pkey")),
    )
    op.create_index(op.f("training_jobs_requested_by_idx"), "training_jobs", ["requested_by"])
    op.create_index(op.f("training_jobs_model_version_idx"), "training_jobs", ["model_version"])
    op.create_index(
        "training_jobs_one_of_each_idx",
        "training_jobs",
        ["status"],
        unique=True,
        postgresql_where=sa.text("status IN ('QUEUED', 'RUNNING')"),
    )
    op.execute(PROGRESS)


def downgrade() -> None:
    op.drop_table("training_jobs")
    op.execute("DROP FUNCTION tell_training")
    op.drop_index(op.f("model_versions_trained_at_version_idx"), "model_versions")
    op.execute("DELETE FROM model_versions WHERE status = 'REMOVED'")
    op.drop_constraint(op.f(STATUS), "model_versions", type_="check")
    op.create_check_constraint(op.f(STATUS), "model_versions", "status IN ('READY', 'ACTIVE', 'RETIRED')")
    op.drop_column("model_versions", "retired_at")
