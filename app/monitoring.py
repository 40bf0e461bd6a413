"""Monitoring: an engine that is observed, and the state of the process and of the database at each scrape.

The figures of the database are the same in each process: queries take their maximum, never their sum.
"""

import asyncio
import logging
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import psycopg
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool

from app.activity.drift import Drift, drift
from app.db.engine import FullDisk, Sessions, create_engine, replicas_of, sessionmaker
from app.db.replicas import Replicas
from app.experiments.lately import ArmLists, lists_by_arm
from app.experiments.running import Running
from app.ingest import dead_letters, streams
from app.ingest.stream_events import Refusal
from app.recommendations.online_quality import OnlineQuality, online_quality
from app.serving.live import Live
from app.settings import Settings
from app.telemetry import metrics, tracing
from app.training import jobs
from app.web.admission import Admission
from app.web.meter import meter_database

READ_SECONDS = 3.0  # for which a scrape waits for figures of the database
KEPT_SECONDS = 5.0  # for which several scrapers share figures
REST = 50  # times the duration of a query that takes long, before it runs again
WINDOWS = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
PARTS = JOBS, STREAMS, ARMS, DRIFT = "jobs", "streams", "arms", "drift"
LIMITS = ("max_", "_per_minute", "execution_seconds", "request_seconds")
PER_LIST = {
    "click_rate": "Share of the lists shown in the window with a CLICK event.",
    "watch_rate": "Share of the lists shown in the window with a WATCH event.",
    "coverage": "Share of the catalog in any list shown in the window.",
    "popular_share": "Share of popular movies, the tenth of the catalog with most ratings, in the lists.",
    "diversity": "Mean diversity by genre of the lists shown in the window: 0 all the same, 1 all different.",
}

log = logging.getLogger("marquee.monitoring")


@dataclass(slots=True, eq=False)
class Monitor(Collector):
    """Collects the state of one process. `read` refreshes what comes from the database."""

    settings: Settings
    live: Live
    admission: Admission
    engine: AsyncEngine
    sessions: Sessions
    running: Running = field(default_factory=Running)
    arms: list[ArmLists] = field(default_factory=list)
    jobs: dict[str, int] = field(default_factory=dict)
    quality: dict[str, OnlineQuality] = field(default_factory=dict)
    streamed: streams.StreamFigures | None = None
    drift: Drift | None = None
    dead: dict[Refusal, int] = field(default_factory=dict)  # dead letters that are kept
    due: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys((JOBS, STREAMS, ARMS, DRIFT, *WINDOWS), 0.0)
    )
    reading: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.settings.__class__.model_fields:
            if any(part in name for part in LIMITS):  # present from the start, so that rates see the first
                metrics.limits_hit.labels(name.upper())

    async def read(self) -> None:
        """Read the figures of the database that are due. Those that take longer are in a later scrape."""
        for part, due in self.due.items():
            if part not in self.reading and time.monotonic() >= due:
                self.reading[part] = asyncio.create_task(self._read(part))
        if self.reading:
            await asyncio.wait(self.reading.values(), timeout=READ_SECONDS)

    async def _read(self, part: str) -> None:
        """Read one of PARTS, or the quality of a window. After a failure, scrapes lack it."""
        began = time.monotonic()
        try:
            if part == JOBS:
                self.jobs = await jobs.count_by_status(self.sessions)
            elif part == STREAMS:
                self.dead = await dead_letters.count_by_reason(self.sessions)
                self.streamed = await streams.figures(self.sessions)
            elif part == DRIFT:
                self.drift = await drift(self.sessions)
            elif part == ARMS:
                self.arms = await lists_by_arm(self.sessions, self.running.experiments)
            else:
                snapshot = self.live.served.snapshot
                self.quality[part] = await online_quality(self.sessions, snapshot, WINDOWS[part])
        except (SQLAlchemyError, psycopg.Error, OSError) as error:
            metrics.database_failures.inc()
            log.warning("cannot read figures of the database (%s): %s", part, error)
            if part == JOBS:
                self.jobs = {}
            elif part == STREAMS:
                self.streamed = None
            elif part == ARMS:
                self.arms = []
            elif part == DRIFT:
                self.drift = None
            self.quality.pop(part, None)
        finally:
            now = time.monotonic()
            self.due[part] = now + max(KEPT_SECONDS, REST * (now - began))
            del self.reading[part]

    async def close(self) -> None:
        """Stop the queries in progress."""
        tasks = list(self.reading.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def collect(self) -> Iterator[Metric]:
        yield from self._model()
        yield from self._snapshot()
        yield from self._admission()
        yield from self._connections()
        yield family("training_jobs", "Training jobs, by status.", self.jobs.items(), "status")
        yield from self._arms()
        lately = list(self.quality.items())  # another scrape may add to it
        shown = [(window, quality.lists) for window, quality in lately]
        yield family("shown_lists", "Lists shown in the window, by events.", shown, "window")
        for name, description in PER_LIST.items():
            values = [(window, getattr(quality, name)) for window, quality in lately]
            present = [(window, value) for window, value in values if value is not None]
            yield family(f"list_{name}", description, present, "window")
        if self.drift is not None:
            yield from drift_metrics(self.drift)
        if self.streamed is not None:
            yield from self._streams(self.streamed)

    def _streams(self, found: streams.StreamFigures) -> Iterator[Metric]:
        lag = GaugeMetricFamily(
            "marquee_stream_lag",
            "Events, or bytes of a file, that were not stored when others of the partition were.",
            labels=["stream", "partition"],
        )
        age = GaugeMetricFamily(
            "marquee_stream_stored_age_seconds",
            "Time since an event of the partition was stored.",
            labels=["stream", "partition"],
        )
        for each in found.partitions:
            lag.add_metric([each.stream, str(each.partition)], each.lag)
            age.add_metric([each.stream, str(each.partition)], each.age)
        events = CounterMetricFamily(
            "marquee_stream_events_total",
            "Events by outcome: STORED, REPEATED, or the reason of a dead letter.",
            labels=["stream", "outcome"],
        )
        for stream, outcome, count in found.events:
            events.add_metric([stream, outcome], count)
        yield from (lag, age, events)
        dead = [(reason.value, self.dead.get(reason, 0)) for reason in Refusal]
        yield family("dead_letters", "Dead letters that are kept, by reason.", dead, "reason")

    def _model(self) -> Iterator[Metric]:
        model, unreadable = self.live.served.model, self.live.served.unreadable
        info = [] if model is None else [(model.version, 1)]
        yield family("model_info", "The version of the model that is served.", info, "version")
        age = [] if model is None else [("", (datetime.now(UTC) - model.trained_at).total_seconds())]
        yield family("model_age_seconds", "Time since the ratings of the model were read.", age)
        yield gauge(
            "model_unreadable", "1 if the active model cannot be served.", int(unreadable is not None)
        )
        due = len(self.live.arrivals.due)
        yield gauge("online_updates_waiting", "Movies whose factors wait for an online update.", due)

    def _arms(self) -> Iterator[Metric]:
        for outcome in ("shown", "clicked", "watched"):
            values = [(each.arm, getattr(each, outcome)) for each in self.arms]
            description = f"Lists of running experiments that were {outcome} in the last hour, by arm."
            yield family(f"experiment_{outcome}_lists", description, values, "arm")

    def _snapshot(self) -> Iterator[Metric]:
        age = time.monotonic() - self.live.refreshed_at
        yield gauge("snapshot_age_seconds", "Time since the snapshot was last up to date.", age)
        movies = self.live.served.snapshot.movie_ids.size
        yield gauge("snapshot_movies", "Movies in the snapshot.", movies)

    def _admission(self) -> Iterator[Metric]:
        admission = self.admission
        yield gauge("operations_running", "Admitted operations in progress.", admission.running)
        yield gauge("operations_waiting", "Operations that wait for admission.", len(admission.waiting))
        allowed = int(admission.at_once)
        yield gauge("operations_allowed", "Operations at once that the lag of the loop allows now.", allowed)
        yield gauge("connections_open", "Open HTTP connections and websockets.", len(admission.connections))
        yield gauge("connections_max", "MAX_CONNECTIONS.", admission.most_connections)

    def _connections(self) -> Iterator[Metric]:
        pool = self.engine.pool
        assert isinstance(pool, QueuePool)
        reads = self.sessions.pool
        states = GaugeMetricFamily(
            "marquee_database_connections", "Connections of a pool, by state.", labels=["pool", "state"]
        )
        states.add_metric(["transactions", "used"], pool.checkedout())
        states.add_metric(["transactions", "idle"], pool.checkedin())
        states.add_metric(["reads", "used"], reads.used)
        states.add_metric(["reads", "idle"], len(reads.idle))
        yield states
        # The overflow is as large as the pool.
        most = [("transactions", 2 * self.settings.database_pool_size), ("reads", reads.most)]
        yield family("database_connections_max", "The most connections of a pool.", most, "pool")
        if self.sessions.replicas is not None:
            yield from replica_metrics(self.sessions.replicas)


def replica_metrics(found: Replicas) -> Iterator[Metric]:
    reads = CounterMetricFamily(
        "marquee_query_reads_total", "Reads of queries, by what answered them.", labels=["source"]
    )
    for source, count in found.counts.items():
        reads.add_metric([source.value], count)
    yield reads
    up = [(each.name, int(each.is_up)) for each in found.replicas]
    yield family("replica_up", "1 if the replica answers.", up, "replica")
    lags = [(each.name, lag) for each in found.replicas if (lag := found.lag(each)) < float("inf")]
    yield family("replica_lag_seconds", "How far the replica is behind the primary.", lags, "replica")


def drift_metrics(found: Drift) -> Iterator[Metric]:
    counts, stars = found.ratings.items(), found.stars.items()
    yield family("recent_ratings", "Ratings of the last day, and of the 28 days before it.", counts, "window")
    means = [(window, mean) for window, mean in stars if mean is not None]
    yield family("recent_stars", "Mean stars of these ratings, without inferred ones.", means, "window")
    shares = [] if found.shares is None else [("", found.shares)]
    yield family("movie_shares_drift", "Drift of movies' shares of these ratings, beyond chance.", shares)


def family(
    name: str, description: str, values: Collection[tuple[str, float]], label: str | None = None
) -> Metric:
    """A gauge with a value for each value of its label; without a label, at most one value."""
    found = GaugeMetricFamily(f"marquee_{name}", description, labels=[label] if label else [])
    for labeled, value in values:
        found.add_metric([labeled] if label else [], value)
    return found


def gauge(name: str, description: str, value: float) -> Metric:
    return family(name, description, [("", value)])


def observed_engine(
    settings: Settings, database_url: str, direct_url: str, full_disk: FullDisk
) -> tuple[AsyncEngine, Sessions]:
    """An engine whose errors and statements are noted, and its sessions. `direct_url`: without a pooler."""
    engine = create_engine(database_url, settings)
    sessions = sessionmaker(engine, direct_url)
    event.listen(engine.sync_engine, "handle_error", full_disk.note)
    meter_database(engine.sync_engine, sessions.pool)
    for traces in tracing.active:
        traces.instrument(engine.sync_engine)
        sessions.pool.observers.append(traces.read)
    sessions.replicas = replicas_of(settings, sessions.pool)
    return engine, sessions
