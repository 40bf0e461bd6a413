"""The state of the process, and figures of the database, as metrics at the time of a scrape.

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
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool

from app.db.engine import Sessions
from app.recommendations.online_quality import OnlineQuality, online_quality
from app.serving.live import Live
from app.settings import Settings
from app.telemetry import metrics
from app.training import jobs
from app.web.admission import Admission

READ_SECONDS = 3.0  # longest time for the queries of a scrape; a scrape takes at most 10
KEPT_SECONDS = 5.0  # for which several scrapers share figures
WINDOWS = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
DAY_SECONDS = 300.0  # between two readings of a whole day, which may be many events
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
    quality: dict[str, OnlineQuality] = field(default_factory=dict)
    jobs: dict[str, int] = field(default_factory=dict)
    read_at: float = float("-inf")
    day_read_at: float = float("-inf")
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        for name in self.settings.__class__.model_fields:
            if any(part in name for part in LIMITS):  # present from the start, so that rates see the first
                metrics.limits_hit.labels(name.upper())

    async def read(self) -> None:
        """Read the figures of the database, unless they are fresh. After a failure a scrape lacks them."""
        async with self.reading:
            if time.monotonic() < self.read_at + KEPT_SECONDS:
                return
            try:
                async with asyncio.timeout(READ_SECONDS):
                    await self._read()
            except (SQLAlchemyError, psycopg.Error, OSError, TimeoutError) as error:
                metrics.database_failures.inc()
                self.jobs, self.quality = {}, {}
                log.warning("cannot read the figures of the database: %s", error or "it takes too long")

    async def _read(self) -> None:
        now = time.monotonic()
        self.jobs = await jobs.count_by_status(self.sessions)
        windows = ["hour", "day"] if now >= self.day_read_at + DAY_SECONDS else ["hour"]
        for window in windows:
            self.quality[window] = await online_quality(
                self.sessions, self.live.served.snapshot, WINDOWS[window]
            )
        if "day" in windows:
            self.day_read_at = now
        self.read_at = now

    def collect(self) -> Iterator[Metric]:
        yield from self._model()
        yield from self._snapshot()
        yield from self._admission()
        yield from self._connections()
        yield family("training_jobs", "Training jobs, by status.", self.jobs.items(), "status")
        lately = list(self.quality.items())  # another scrape may add to it
        shown = [(window, quality.lists) for window, quality in lately]
        yield family("shown_lists", "Lists shown in the window, by events.", shown, "window")
        for name, description in PER_LIST.items():
            values = [(window, getattr(quality, name)) for window, quality in lately]
            present = [(window, value) for window, value in values if value is not None]
            yield family(f"list_{name}", description, present, "window")

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
        used, idle = pool.checkedout(), pool.checkedin()
        states = [("used", used), ("idle", idle)]
        yield family("database_connections", "Connections of the pool, by state.", states, "state")
        most = 2 * self.settings.database_pool_size  # the overflow is as large as the pool
        yield gauge("database_connections_max", "The most connections of the pool.", most)


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
