"""Tables of experiments and their arms."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Double, SmallInteger, func, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import Text

from app.db.tables import Base, identity, one_of, owned_by


class Experiment(Base):
    """An experiment; see `app.experiments`. A trigger notifies the processes of a change.

    `slice_from`, `slice_to`: the members of its layer that it takes, as a part of the interval from 0 to 1.
    `roles`, `min_ratings`, `joined_after`: which members; no roles means all. `period_hours`: of a
    switchback.
    `report`: of a stopped experiment, since the lists that it was made from are removed in time.
    """

    __tablename__ = "experiments"
    __table_args__ = (
        one_of("design", "FIXED", "SWITCHBACK"),
        CheckConstraint("0 <= slice_from AND slice_from < slice_to AND slice_to <= 1", name="slice"),
        CheckConstraint("starts_at < ends_at", name="ends_at"),
        CheckConstraint("(design = 'SWITCHBACK') = (period_hours IS NOT NULL)", name="period_hours"),
    )

    id: Mapped[int] = identity()
    name: Mapped[str] = mapped_column(unique=True)
    salt: Mapped[str]
    layer: Mapped[str]
    slice_from: Mapped[float] = mapped_column(Double)
    slice_to: Mapped[float] = mapped_column(Double)
    design: Mapped[str] = mapped_column(server_default="FIXED")
    period_hours: Mapped[int | None] = mapped_column(SmallInteger)
    roles: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    min_ratings: Mapped[int] = mapped_column(server_default=text("0"))
    joined_after: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    stopped_at: Mapped[datetime | None]
    report: Mapped[dict[str, Any] | None]


class ExperimentArm(Base):
    """An arm. The first is the baseline. A parameter that is null has the value of lists without an arm."""

    __tablename__ = "experiment_arms"
    __table_args__ = (
        CheckConstraint("share > 0 AND share <= 1", name="share"),
        CheckConstraint("diversity BETWEEN 0 AND 1", name="diversity"),
        CheckConstraint("exploration BETWEEN 0 AND 1", name="exploration"),
    )

    experiment_id: Mapped[int] = owned_by("experiments.id", primary_key=True)
    position: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    name: Mapped[str]
    share: Mapped[float] = mapped_column(Double)
    model_version: Mapped[str | None]
    diversity: Mapped[float | None] = mapped_column(Double)
    exploration: Mapped[float | None] = mapped_column(Double)
