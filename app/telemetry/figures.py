"""Figures of this process for operators, from its Prometheus metrics."""

from dataclasses import dataclass
from datetime import UTC, datetime

from app.telemetry import metrics

STARTED_AT = datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class ProcessFigures:
    """Queries and mutations since `STARTED_AT`. `within`: seconds in which 95 of 100 ended; None for longer.

    The time is the upper bound of a bucket of the histogram.
    """

    operations: int
    mean: float | None
    within: float | None
    errors: dict[str, int]


def figures() -> ProcessFigures:
    buckets: dict[float, float] = {}
    seconds = 0.0
    for metric in metrics.operations.collect():
        for sample in metric.samples:
            if sample.name.endswith("_bucket"):
                bound = float(sample.labels["le"])
                buckets[bound] = buckets.get(bound, 0.0) + sample.value
            elif sample.name.endswith("_sum"):
                seconds += sample.value
    count = buckets.pop(float("inf"), 0.0)
    within = next((bound for bound in sorted(buckets) if count and buckets[bound] >= 0.95 * count), None)
    errors = {
        sample.labels["code"]: int(sample.value)
        for metric in metrics.errors.collect()
        for sample in metric.samples
        if sample.name.endswith("_total") and sample.value
    }
    return ProcessFigures(int(count), seconds / count if count else None, within, errors)
