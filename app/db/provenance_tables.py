"""Tables of provenance: the lists served, what they were computed from, and the states of models."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, func
from sqlalchemy.dialects.postgresql import ARRAY, REAL
from sqlalchemy.orm import Mapped, mapped_column

from app.db.tables import Base, one_of, owned_by


class ServedList(Base):
    """A page of a list as it was served; see `app.recommendations.served_lists`. Partitioned by UTC day.

    `inputs`: digests of rows of `served_inputs` of the same day, 16 bytes each, one after the other.
    `history_at`: the history is the one up to this time. `arm`: of each experiment, as
    `experiment/arm`. `propensities`: of a list with exploration; see `recommender.exploration`. `promoted`:
    those of `movie_ids` whose place a promotion decided, null for none; outcomes of experiments and
    off-policy estimates leave them out.
    """

    __tablename__ = "served_lists"
    __table_args__ = (
        Index(None, "request_id"),
        Index(None, "user_id"),
        {"postgresql_partition_by": "RANGE (served_at)"},
    )

    served_at: Mapped[datetime] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    request_id: Mapped[UUID]
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    field: Mapped[str]
    model_version: Mapped[str]
    model_state: Mapped[UUID]
    arm: Mapped[str | None]
    history_at: Mapped[datetime]
    parameters: Mapped[dict[str, Any]]
    inputs: Mapped[bytes]
    movie_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    ranks: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    scores: Mapped[list[float]] = mapped_column(ARRAY(REAL))
    propensities: Mapped[list[float] | None] = mapped_column(ARRAY(REAL))
    promoted: Mapped[list[int] | None] = mapped_column(ARRAY(BigInteger))


class ServedInput(Base):
    """A history, mask or catalog that served lists were computed from, once a day. Partitioned by UTC day.

    `user_id`: the member whose history it is; null for what is not personal.
    """

    __tablename__ = "served_inputs"
    __table_args__ = (Index(None, "user_id"), {"postgresql_partition_by": "RANGE (served_on)"})

    served_on: Mapped[date] = mapped_column(primary_key=True)
    digest: Mapped[bytes] = mapped_column(primary_key=True)
    user_id: Mapped[int | None] = owned_by("users.id")
    content: Mapped[bytes]


class ModelState(Base):
    """A state of a model in a process, as an update of the state `before`; see `app.serving.model.State`.

    `line`: the first state, as the process loaded the model. `code_version`: of the process. `used_at`: a
    list used it then, to the hour.
    """

    __tablename__ = "model_states"
    __table_args__ = (
        one_of("kind", "LOADED", "MOVIES", "FACTORS", "RATINGS"),
        Index(None, "line", "used_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    line: Mapped[UUID]
    before: Mapped[UUID | None]
    model_version: Mapped[str]
    code_version: Mapped[str]
    kind: Mapped[str]
    content: Mapped[bytes]
    made_at: Mapped[datetime]
    used_at: Mapped[datetime] = mapped_column(server_default=func.now())
