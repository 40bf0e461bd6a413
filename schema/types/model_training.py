"""The training of a model: its data, its metrics and the comparison with the active model."""

from datetime import datetime
from typing import Any, Self

import strawberry
from strawberry.scalars import JSON

from app.db.training_tables import ShadowRun as Run
from app.db.training_tables import TrainingData as Row
from app.training.registry import Figure
from app.training.shadow_runs import figures_of
from recommender.evaluation.gate import K as COMPARED_AT
from schema.core.directives import ListSize


@strawberry.type(description="A quality metric, measured on held-out ratings.")
class Metric:
    name: str = strawberry.field(description="The name of the metric, such as `ndcg` or `rmse`.")
    k: int | None = strawberry.field(
        description="The list length; null for a metric that is not about lists."
    )
    label: str = strawberry.field(description="The metric as people say it, such as `ndcg@20`.")
    measured_on: str = strawberry.field(description="What it was measured on, for a person to read.")
    value: float = strawberry.field(description="The value of the metric.")
    low: float | None = strawberry.field(
        description="Lower end of the 95 % confidence interval; null if not measured per member."
    )
    high: float | None = strawberry.field(description="Upper end of the 95 % confidence interval.")

    @classmethod
    def of(cls, figure: Figure) -> Self:
        return cls(
            name=figure.name,
            k=figure.k,
            label=figure.label,
            measured_on=figure.measured_on,
            value=figure.value,
            low=figure.low,
            high=figure.high,
        )


@strawberry.type(description="How far a partition of an event stream is in the training data.")
class StreamOffset:
    stream: str = strawberry.field(description="The name of the stream, such as `kafka:movielog@...`.")
    partition: int = strawberry.field(description="The partition; 0 for a file.")
    offset: str = strawberry.field(
        description="The position behind the last event: an offset of Kafka, or bytes of a file."
    )


@strawberry.type(description="A version of the training data: a cut of the database, never changed.")
class TrainingData:
    version: str = strawberry.field(description="The version, the `datasetVersion` of its models.")
    read_at: datetime = strawberry.field(description="When it was first read.")
    movie_count: int = strawberry.field(description="The number of movies.")
    member_count: int = strawberry.field(description="The number of members with ratings.")
    rating_count: int = strawberry.field(description="The number of ratings.")
    first_rated_at: datetime | None = strawberry.field(description="The time of the oldest rating.")
    last_rated_at: datetime | None = strawberry.field(description="The time of the newest rating.")
    catalog_revision: str = strawberry.field(
        description="The number of changes of the catalog until it was read."
    )
    snapshot: str = strawberry.field(
        description="The transactions that were visible, in the format of Postgres's `pg_snapshot`."
    )
    checksum: str = strawberry.field(description="The SHA-256 of all that the training reads.")
    sources: JSON = strawberry.field(description="The number of ratings of each loaded data set.")
    rules: JSON = strawberry.field(description="The rules by which rows were left out.")
    streams: list[StreamOffset] = strawberry.field(
        directives=[ListSize(assumed_size=10)],
        description="Up to which event of each stream the data reaches, as it was first read; at most 1,000.",
    )

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(
            version=row.version,
            read_at=row.read_at,
            movie_count=row.movie_count,
            member_count=row.member_count,
            rating_count=row.rating_count,
            first_rated_at=row.first_rated_at,
            last_rated_at=row.last_rated_at,
            catalog_revision=str(row.catalog_revision),
            snapshot=row.snapshot,
            checksum=row.checksum,
            sources=JSON(row.sources),
            rules=JSON(row.rules),
            streams=[
                StreamOffset(stream=each["stream"], partition=each["partition"], offset=str(each["offset"]))
                for each in row.streams
            ],
        )


@strawberry.type(
    description="The comparison of a new model with the active one, on the same held-out ratings, before it "
    "may become active."
)
class GateVerdict:
    passed: bool = strawberry.field(description="Whether the model may become active.")
    reason: str | None = strawberry.field(
        description="Why it was refused, with the figures, or why nothing was compared."
    )
    member_count: int = strawberry.field(description="The number of compared members.")
    difference: Metric | None = strawberry.field(
        description="`ndcg` at 10 of the new model minus that of the active one, paired by member; null if "
        "nothing was compared."
    )

    @classmethod
    def of(cls, verdict: dict[str, Any]) -> Self:
        difference = verdict["difference"]
        return cls(
            passed=verdict["passed"],
            reason=verdict["reason"],
            member_count=verdict["n_users"],
            difference=None
            if difference is None
            else Metric(
                name="ndcg",
                k=COMPARED_AT,
                label=f"ndcg@{COMPARED_AT}",
                measured_on="the newest ratings of the compared members, ranked by each whole model",
                **difference,
            ),
        )


@strawberry.type(
    description="A run of a model in shadow mode: it makes live lists too, without serving them. Means are "
    "over the compared lists, and null without one."
)
class ShadowRun:
    running: bool = strawberry.field(description="Whether it goes on.")
    started_at: datetime = strawberry.field(description="When it began.")
    stopped_at: datetime | None = strawberry.field(description="When it ended; null while it goes on.")
    lists: int = strawberry.field(description="Lists compared with the active model's.")
    failed: int = strawberry.field(description="Lists that the model could not make.")
    dropped: int = strawberry.field(description="Lists that were not compared, because too many waited.")
    agreement: float | None = strawberry.field(
        description="Mean share of the active model's first ten movies that the model's list has too."
    )
    active_milliseconds: float | None = strawberry.field(
        description="Mean time of a list by the active model."
    )
    candidate_milliseconds: float | None = strawberry.field(description="Mean time of a list by this model.")

    @classmethod
    def of(cls, run: Run) -> Self:
        found = figures_of(run)
        return cls(
            running=found.stopped_at is None,
            started_at=found.started_at,
            stopped_at=found.stopped_at,
            lists=found.lists,
            failed=found.failed,
            dropped=found.dropped,
            agreement=found.agreement,
            active_milliseconds=found.active_milliseconds,
            candidate_milliseconds=found.candidate_milliseconds,
        )
