"""Settings of reads from replicas, which `app.settings` includes."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings


class ReplicaSettings(BaseSettings):
    database_read_url: str | None = Field(
        None,
        description="`postgresql://…` of streaming replicas that answer reads of queries; each host is one "
        "replica, not a balancer: see [scale.md](scale.md#replicas); unset: the primary answers all",
    )
    database_read_lag_seconds: Annotated[float, Field(ge=0.5, le=60)] = Field(
        2.0, description="lag from which a replica answers no reads, until it has caught up"
    )
