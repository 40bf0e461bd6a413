"""The Prometheus metrics of one ingester, which serves them on a port of its own."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    Metric,
    ProcessCollector,
    disable_created_metrics,
    start_http_server,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from app import console
from app.ingest.kafka_topics import KafkaTopic
from app.ingest.store_events import REPEATED, STORED
from app.ingest.stream_events import Refusal
from app.settings import Settings

BATCH_BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)

disable_created_metrics()  # type: ignore[no-untyped-call]  # they double the series of a counter
Place = tuple[str, str]  # a stream and a partition


class StreamMetrics(Collector):
    """Counts what an ingester stores, and shows its lag at the time of a scrape.

    `is_held`: whether the partitions are paused, while Postgres is unreachable. `well_at`: when a batch was
    stored, or a broker said that no event waits; in monotonic time.
    """

    def __init__(self, topics: Mapping[str, KafkaTopic]) -> None:
        self.topics = topics
        self.is_held = False
        self.well_at = time.monotonic()
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.events = Counter(
            "marquee_ingest_events_total",
            "Events of this process, by outcome: STORED, REPEATED, or the reason of a dead letter.",
            ["stream", "outcome"],
            registry=self.registry,
        )
        self.batches = Histogram(
            "marquee_ingest_batch_seconds",
            "Time in which a batch was stored.",
            ["stream"],
            buckets=BATCH_BUCKETS,
            registry=self.registry,
        )
        for topic in topics.values():  # present from the start, so that rates see the first event
            self.batches.labels(topic.stream.name)
            for outcome in (STORED, REPEATED, *(reason.value for reason in Refusal)):
                self.events.labels(topic.stream.name, outcome)
        self.registry.register(self)

    def observe(self, stream: str, counts: Mapping[str, int], seconds: float) -> None:
        """Count a batch that was stored."""
        self.well_at = time.monotonic()
        self.batches.labels(stream).observe(seconds)
        for outcome, events in counts.items():
            self.events.labels(stream, outcome).inc(events)

    def collect(self) -> Iterator[Metric]:
        yield gauge(
            "lag", "Events of an assigned partition that are not stored.", self._each(KafkaTopic.lag_of)
        )
        now = time.time()
        behind = self._each(lambda topic, partition: topic.behind(partition, now))
        yield gauge("behind_seconds", "For how long the oldest event waits that is not stored.", behind)
        for name, description, value in (
            ("held", "1 while Postgres is unreachable and the partitions are paused.", int(self.is_held)),
            (
                "idle_seconds",
                "Time since a batch was stored, or a broker said that no event waits.",
                time.monotonic() - self.well_at,
            ),
        ):
            family = GaugeMetricFamily(f"marquee_ingest_{name}", description)
            family.add_metric([], value)
            yield family

    def _each(self, of: Callable[[KafkaTopic, int], float | None]) -> list[tuple[Place, float]]:
        """The values of the partitions that have one. A copy of a dictionary is not changed by the reader."""
        values = [
            ((topic.stream.name, str(partition)), of(topic, partition))
            for topic in self.topics.values()
            for partition in sorted(dict(topic.stored))
        ]
        return [(place, value) for place, value in values if value is not None]


def gauge(name: str, description: str, values: Collection[tuple[Place, float]]) -> Metric:
    family = GaugeMetricFamily(f"marquee_ingest_{name}", description, labels=["stream", "partition"])
    for place, value in values:
        family.add_metric(place, value)
    return family


@contextmanager
def served(metrics: StreamMetrics, settings: Settings) -> Iterator[None]:
    """Serve the metrics in a thread, if METRICS_PORT is set, and print their address.

    Ends the command with one line if the port cannot be bound.
    """
    if settings.metrics_port is None:
        yield
        return
    try:
        server, thread = start_http_server(settings.metrics_port, settings.metrics_host, metrics.registry)
    except OSError as error:
        raise console.fail(
            f"METRICS_PORT {settings.metrics_port} of {settings.metrics_host} cannot be opened "
            f"({error.strerror}): each process needs a port of its own."
        ) from None
    host, port = server.server_address[:2]
    console.notice(
        f"Metrics for Prometheus: http://{f'[{host!s}]' if ':' in str(host) else host!s}:{port}/metrics"
    )
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
