"""Liveness and readiness: `/healthz` and `/readyz`."""

import asyncio
import shutil
import time
from dataclasses import dataclass, field

import psycopg
from starlette.requests import Request
from starlette.responses import JSONResponse

from app.settings import Settings

PROBE_SECONDS = 2.0  # longest a probe of the database may take
LEAST_FREE_BYTES = 64 << 20  # Postgres writes its log in files of 16 MB
PROBE_LASTS = 0.5  # seconds a success stands, so that frequent checks cost the database nothing


@dataclass(slots=True)
class DatabaseProbe:
    """Ask the database whether it answers, on a connection of its own.

    The pool of the requests may be taken by blocked writers; that says nothing about the database. Checks
    that come together share one probe.
    """

    address: str
    failure: str | None = None
    asked_at: float = float("-inf")
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def fault(self) -> str | None:
        """The reason why the database cannot be used; None while it answers."""
        async with self.asking:
            if self.failure is not None or time.monotonic() >= self.asked_at + PROBE_LASTS:
                self.failure = await self._ask()
                self.asked_at = time.monotonic()
            return self.failure

    async def _ask(self) -> str | None:
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
    """Report that the process answers."""
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> JSONResponse:
    """Report whether the process can do its work: read and write the database, and rank with a model.

    200 or 503. `reasons` names what is missing, and an active model in whose place the former one is served.
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
    """Whether the embedded Postgres has no room left; the disk of another one is out of sight."""
    return settings.database_url is None and shutil.disk_usage(settings.data_dir).free < LEAST_FREE_BYTES
