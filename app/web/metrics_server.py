"""Serve `/metrics` on a port of its own, which only operators reach."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import uvicorn
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app import console
from app.settings import Settings
from app.telemetry.metrics import REGISTRY
from app.web.http_protocol import protocol

BACKLOG = 16  # connections that wait to be accepted
MAX_CONNECTIONS = 32  # a Prometheus keeps one
GRACE_SECONDS = 1

Read = Callable[[], Awaitable[None]]


class MetricsServer(uvicorn.Server):
    """A second server of the process. The signals are those of the first."""

    def __init__(self, listening: socket.socket, settings: Settings, read: Read) -> None:
        """`read` reads the figures that are not counted in this process, before each scrape."""
        self.listening = listening
        limits = settings.model_copy(update={"max_connections": MAX_CONNECTIONS})
        config = uvicorn.Config(
            Starlette(routes=[Route("/metrics", scrape_of(read))]),
            http=protocol(limits),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        super().__init__(config)

    async def follow(self) -> None:
        """Serve until cancelled."""
        try:
            await self.serve([self.listening])
        finally:
            await self.shutdown([self.listening])

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(settings: Settings) -> socket.socket | None:
    """Bind the port of the metrics and print their address; None if they are not served.

    Ends the command with one line if the port cannot be bound.
    """
    if settings.metrics_port is None:
        return None
    address = (settings.metrics_host, settings.metrics_port)
    family = socket.AF_INET6 if ":" in settings.metrics_host else socket.AF_INET
    try:
        listening = socket.create_server(address, family=family, backlog=BACKLOG)
    except OSError as error:
        raise console.fail(
            f"METRICS_PORT {settings.metrics_port} of {settings.metrics_host} cannot be opened "
            f"({error.strerror}): each process needs a port of its own."
        ) from None
    host, port = listening.getsockname()[:2]
    console.notice(f"Metrics for Prometheus: http://{f'[{host}]' if ':' in host else host}:{port}/metrics")
    return listening


def scrape_of(read: Read) -> Callable[[Request], Awaitable[Response]]:
    async def scrape(request: Request) -> Response:
        await read()
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        text = await asyncio.to_thread(encode, REGISTRY)  # it takes milliseconds
        return Response(text, headers={"Content-Type": content_type, "Cache-Control": "no-store"})

    return scrape
