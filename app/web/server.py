"""The uvicorn server: prints its addresses once it listens, and ends streams when it stops."""

import asyncio
import socket
from typing import Any

import uvicorn
from starlette.applications import Starlette

from app import console

GRACE_SECONDS = 10  # for requests in progress when the process stops


class Server(uvicorn.Server):
    """Prints the addresses once it listens, and signals streams when it stops."""

    def __init__(self, app: Starlette, **options: Any) -> None:
        super().__init__(uvicorn.Config(app, **options))
        self.stopping: asyncio.Event = app.state.stopping
        app.state.admission.connections = self.server_state.connections

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.stopping.set()
        await super().shutdown(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
            console.notice(f"GraphiQL and the GraphQL API: [bold]{address}/graphql[/]")
            console.notice(f"Health: {address}/healthz and {address}/readyz. Stop with Ctrl-C.")
