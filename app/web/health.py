"""Liveness and readiness: `/healthz` and `/readyz`.

Neither waits behind operations: they need no turn (`admission`), no thread of the operations, no connection
of the pool, and few turns of the event loop.
"""

import asyncio
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import psycopg
from psycopg.conninfo import conninfo_to_dict
from starlette.requests import Request
from starlette.responses import JSONResponse

from app.settings import Settings

PROBE_SECONDS = 2  # longest time for a probe of the database, for each of its hosts
LEAST_FREE_BYTES = 64 << 20  # Postgres writes its WAL in files of 16 MB
PROBE_LASTS = 0.5  # seconds for which a success is reused by frequent checks


@dataclass(slots=True)
class DatabaseProbe:
    """Probe the database on a separate connection, in a thread of its own.

    Blocked writers may hold the whole pool of the requests while the database works. Each step of a
    connection in the event loop would wait behind the operations there. Concurrent checks share one probe.
    """

    address: str
    failure: str | None = None
    probed_at: float = float("-inf")
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "health"))

    async def fault(self) -> str | None:
        """The reason why the database cannot be used; None if it answers."""
        async with self.lock:
            if self.failure is not None or time.monotonic() >= self.probed_at + PROBE_LASTS:
                self.failure = await self._probe()
                self.probed_at = time.monotonic()
            return self.failure

    async def _probe(self) -> str | None:
        seconds = PROBE_SECONDS * len(str(conninfo_to_dict(self.address).get("host", "")).split(","))
        try:
            async with asyncio.timeout(seconds):
                await asyncio.get_running_loop().run_in_executor(self.thread, select_one, self.address)
        except (TimeoutError, psycopg.errors.ConnectionTimeout):
            return f"The database does not answer within {seconds} seconds."
        except (psycopg.Error, OSError):
            return "The database cannot be reached."
        return None

    def close(self) -> None:
        self.thread.shutdown(wait=False, cancel_futures=True)


def select_one(address: str) -> None:
    """Connect and run a statement. Raises psycopg.Error."""
    with psycopg.connect(
        address, autocommit=True, connect_timeout=PROBE_SECONDS, tcp_user_timeout=1000 * PROBE_SECONDS
    ) as connection:
        connection.execute("SELECT 1")


async def healthz(_: Request) -> JSONResponse:
    """Liveness: report that the process answers."""
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> JSONResponse:
    """Readiness: report whether the process can read and write the database and rank with a model.

    Responds with 200 or 503, and with 503 while the process stops. `reasons` lists failures, also an active
    model that cannot be loaded, while the previous one is served.
    """
    served = request.state.live.served
    fault = await request.state.probe.fault()
    full = request.state.full_disk.is_recent() or _is_disk_full(request.state.settings)
    reasons = [fault] if fault else []
    if draining := request.app.state.draining.is_set():
        reasons.append("The process is stopping.")
    if full:
        reasons.append("The disk of the database is full, so nothing can be stored.")
    if served.unreadable is not None:
        reasons.append(
            f"Model {served.unreadable.version} is active but its files cannot be used; see the log."
        )
    elif served.model is None:
        reasons.append("No model is trained yet.")
    checks = {"database": fault is None, "model": served.model is not None}
    ready = all(checks.values()) and not full and not draining
    answer = {"status": "ok" if ready else "unavailable", **checks}
    return JSONResponse(answer | ({"reasons": reasons} if reasons else {}), 200 if ready else 503)


def _is_disk_full(settings: Settings) -> bool:
    """Whether the disk of the embedded Postgres is full. The disk of an external one cannot be checked."""
    return settings.database_url is None and shutil.disk_usage(settings.data_dir).free < LEAST_FREE_BYTES
