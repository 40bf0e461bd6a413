"""Tables of data sets, models and training jobs."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Double, ForeignKey, Index, SmallInteger, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db.tables import Base, identity, one_of


class ModelVersion(Base):
    __tablename__ = "model_versions"
    __table_args__ = (
        one_of("status", "READY", "ACTIVE", "RETIRED", "REMOVED"),
        Index(None, "trained_at", "version"),
        Index(
            "model_versions_one_active_idx",
            "status",
            unique=True,
            postgresql_where=text("status = 'ACTIVE'"),
        ),
    )

    version: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str]
    dataset_version: Mapped[str]  # the name of a row of `training_data`, or one of before these rows
    metrics: Mapped[dict[str, Any]]
    training: Mapped[dict[str, Any] | None]  # see `app.training.publish.described`
    trained_at: Mapped[datetime] = mapped_column(server_default=func.now())  # when the ratings were read
    retired_at: Mapped[datetime | None]


class ShadowRun(Base):
    """A model that makes live lists without serving them; see `app.training.shadow_runs`. One runs at a time.

    `lists`: those compared with the active model's. `agreement` and the seconds are sums over them.
    """

    __tablename__ = "shadow_runs"
    __table_args__ = (
        one_of("status", "RUNNING", "STOPPED"),
        Index(
            "shadow_runs_one_running_idx",
            "status",
            unique=True,
            postgresql_where=text("status = 'RUNNING'"),
        ),
    )

    id: Mapped[int] = identity()
    version: Mapped[str] = mapped_column(ForeignKey("model_versions.version", ondelete="CASCADE"), index=True)
    status: Mapped[str] = mapped_column(server_default="RUNNING")
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    stopped_at: Mapped[datetime | None]
    lists: Mapped[int] = mapped_column(server_default=text("0"))
    failed: Mapped[int] = mapped_column(server_default=text("0"))
    dropped: Mapped[int] = mapped_column(server_default=text("0"))
    agreement: Mapped[float] = mapped_column(Double, server_default=text("0"))
    active_seconds: Mapped[float] = mapped_column(Double, server_default=text("0"))
    candidate_seconds: Mapped[float] = mapped_column(Double, server_default=text("0"))


class TrainingData(Base):
    """A version of the training data: a cut of the database, never changed. See `app.training.data`.

    `snapshot`: the transactions that were visible. `checksum`: of all that the training read.
    """

    __tablename__ = "training_data"

    version: Mapped[str] = mapped_column(primary_key=True)
    read_at: Mapped[datetime]
    snapshot: Mapped[str]
    catalog_revision: Mapped[int]
    movie_count: Mapped[int]
    member_count: Mapped[int]
    rating_count: Mapped[int]
    first_rated_at: Mapped[datetime | None]
    last_rated_at: Mapped[datetime | None]
    checksum: Mapped[str]
    sources: Mapped[dict[str, Any]]  # the number of ratings loaded from each data set
    rules: Mapped[dict[str, Any]]  # by which rows were left out
    streams: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'"))  # positions


class DatasetVersion(Base):
    """A loaded data set: its name and the numbers of its rows."""

    __tablename__ = "dataset_versions"

    version: Mapped[str] = mapped_column(primary_key=True)
    simulated: Mapped[bool] = mapped_column(server_default=text("false"))
    movie_count: Mapped[int]
    member_count: Mapped[int]
    rating_count: Mapped[int]
    loaded_at: Mapped[datetime] = mapped_column(server_default=func.now())


class TrainingJob(Base):
    """A training job; see `app.training.jobs`. At most one job is queued and one runs in a database."""

    __tablename__ = "training_jobs"
    __table_args__ = (
        one_of("status", "QUEUED", "RUNNING", "SUCCEEDED", "FAILED"),
        CheckConstraint("fraction BETWEEN 0 AND 1", name="fraction"),
        Index(
            "training_jobs_one_of_each_idx",
            "status",
            unique=True,
            postgresql_where=text("status IN ('QUEUED', 'RUNNING')"),
        ),
        Index(None, "requested_by"),
        Index(None, "model_version"),
    )

    id: Mapped[int] = identity()
    status: Mapped[str] = mapped_column(server_default="QUEUED")
    stage: Mapped[str] = mapped_column(server_default="waiting")
    fraction: Mapped[float] = mapped_column(server_default=text("0"))  # of the stage
    message: Mapped[str | None]  # the reason of a failure, or of the gate
    claim: Mapped[UUID | None]  # of the process that runs it; writes with another claim are ignored
    heartbeat_at: Mapped[datetime | None]  # null if released, so that any process may claim it
    tries: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    requested_by: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    requested_at: Mapped[datetime] = mapped_column(server_default=func.now())
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    model_version: Mapped[str | None] = mapped_column(ForeignKey("model_versions.version"))
