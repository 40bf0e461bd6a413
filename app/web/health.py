"""Liveness and readiness: `/healthz` and `/readyz`."""

import asyncio
import shutil
import time
from dataclasses import dataclass, field

import psycopg
from starlette.requests import Request
from starlette.responses import JSONResponse

from app.settings import Settings

PROBE_SECONDS = 2.0  # longest time for a probe of the database
LEAST_FREE_BYTES = 64 << 20  # Postgres writes its WAL in files of 16 MB
PROBE_LASTS = 0.5  # seconds for which a success is reused by frequent checks


@dataclass(slots=True)
class DatabaseProbe:
    """Probe the database on a separate connection.

    Blocked writers may hold the whole pool of the requests while the database works. Concurrent checks share
    one probe.
    """

    address: str
    failure: str | None = None
    probed_at: float = float("-inf")
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def fault(self) -> str | None:
        """The reason why the database cannot be used; None if it answers."""
        async with self.lock:
            if self.failure is not None or time.monotonic() >= self.probed_at + PROBE_LASTS:
                self.failure = await self._probe()
                self.probed_at = time.monotonic()
            return self.failure

    async def _probe(self) -> str | None:
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                async with await psycopg.AsyncConnection.connect(self.address, autocommit=True) as connection:
                    await connection.execute("SELECT 1")
        except TimeoutError:
            return f"The database does not answer within {PROBE_SECONDS:g} seconds."
        except (psycopg.Error, OSError):
            return "The database cannot be reached."
        return None


async def healthz(_: Request) -> JSONResponse:
    """Liveness: report that the process answers."""
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> JSONResponse:
    """Readiness: report whether the process can read and write the database and rank with a model.

    Responds with 200 or 503. `reasons` lists failures, also an active model that cannot be loaded, while the
    previous one is served.
    """
    served = request.state.live.served
    fault = await request.state.probe.fault()
    full = request.state.full_disk.is_recent() or _is_disk_full(request.state.settings)
    reasons = [fault] if fault else []
    if full:
        reasons.append("The disk of the database is full, so nothing can be stored.")
    if served.unreadable is not None:
        reasons.append(
            f"Model {served.unreadable.version} is active but its files cannot be used; see the log."
        )
    elif served.model is None:
        reasons.append("No model is trained yet.")
    checks = {"database": fault is None, "model": served.model is not None}
    ready = all(checks.values()) and not full
    answer = {"status": "ok" if ready else "unavailable", **checks}
    return JSONResponse(answer | ({"reasons": reasons} if reasons else {}), 200 if ready else 503)


def _is_disk_full(settings: Settings) -> bool:
    """Whether the disk of the embedded Postgres is full. The disk of an external one cannot be checked."""
    return settings.database_url is None and shutil.disk_usage(settings.data_dir).free < LEAST_FREE_BYTES
