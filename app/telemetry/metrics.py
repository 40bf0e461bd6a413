"""The Prometheus metrics of this process, and the functions that count and time.

Each process has its own registry and its own endpoint: see docs/monitoring.md. Labels have bounded sets of
values, so that clients cannot create series.
"""

from functools import cache
from importlib.metadata import version
from platform import python_version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

# In seconds. A list takes a few milliseconds, an operation at most EXECUTION_SECONDS.
OPERATION_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
WAIT_BUCKETS = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
AGREEMENT_BUCKETS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
STAGE_BUCKETS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5)

disable_created_metrics()  # type: ignore[no-untyped-call]  # they double the series of a counter
REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

build = Gauge("marquee_build_info", "The version of the program.", ["version", "python"], registry=REGISTRY)
build.labels(version("marquee"), python_version()).set(1)

operations = Histogram(
    "marquee_operation_seconds",
    "Duration of queries and mutations, from arrival to the last result, including the wait for admission.",
    ["operation", "type"],
    buckets=OPERATION_BUCKETS,
    registry=REGISTRY,
)
subscriptions = Gauge("marquee_subscriptions_open", "Subscriptions in progress.", registry=REGISTRY)
errors = Counter("marquee_errors_total", "Errors in responses, by code.", ["code"], registry=REGISTRY)
limits_hit = Counter(
    "marquee_limits_hit_total",
    "Requests and operations refused or stopped by a limit, by the name of its setting.",
    ["setting"],
    registry=REGISTRY,
)
executions = Counter(
    "marquee_executions_total",
    "Queries and mutations by what executed them, and why graphql-core did.",
    ["by", "reason"],
    registry=REGISTRY,
)
responses = Counter(
    "marquee_http_responses_total", "HTTP responses, by status.", ["status"], registry=REGISTRY
)
queue_wait = Histogram(
    "marquee_queue_seconds",
    "Wait of operations for admission, including those refused after it.",
    buckets=WAIT_BUCKETS,
    registry=REGISTRY,
)
loop_lag = Histogram(
    "marquee_event_loop_lag_seconds",
    "How late the event loop resumes a task, measured 50 times per second.",
    buckets=WAIT_BUCKETS,
    registry=REGISTRY,
)
scorer = Histogram(
    "marquee_scorer_seconds",
    "Time of a stage of scoring in a thread.",
    ["stage"],
    buckets=STAGE_BUCKETS,
    registry=REGISTRY,
)
refresh_failures = Counter(
    "marquee_refresh_failures_total",
    "Failed refreshes of the catalog snapshot and the model.",
    registry=REGISTRY,
)
arms_unserved = Counter(
    "marquee_experiment_unserved_total",
    "Lists without the arm of their member, because this process does not have the arm's model.",
    registry=REGISTRY,
)
shadow_lists = Counter(
    "marquee_shadow_lists_total",
    "Lists in shadow mode: compared with the candidate's, failed there, or dropped from a full queue.",
    ["outcome"],
    registry=REGISTRY,
)
shadow_agreement = Histogram(
    "marquee_shadow_agreement",
    "Share of the first ten movies of a list that the candidate's list has too.",
    buckets=AGREEMENT_BUCKETS,
    registry=REGISTRY,
)
shadow_time = Histogram(
    "marquee_shadow_list_seconds",
    "Time in which the active model and the candidate make the same list in shadow mode.",
    ["model"],
    buckets=STAGE_BUCKETS,
    registry=REGISTRY,
)
for _outcome in ("compared", "failed", "dropped"):  # present from the start, so that rates see the first
    shadow_lists.labels(_outcome)
for _model in ("active", "candidate"):
    shadow_time.labels(_model)
database_failures = Counter(
    "marquee_database_figures_failures_total",
    "Failed or slow queries of the figures that scrapes read from Postgres.",
    registry=REGISTRY,
)


@cache  # the labels are bounded, and prometheus-client takes a lock to find them
def operation_timer(operation: str, kind: str) -> Histogram:
    return operations.labels(operation, kind)


@cache
def responses_of(status: int) -> Counter:
    return responses.labels(status)


@cache
def stage_timer(name: str) -> Histogram:
    return scorer.labels(name)


def observe_stage(name: str, seconds: float) -> None:
    """Record a stage of scoring."""
    stage_timer(name).observe(seconds)
