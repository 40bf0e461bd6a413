"""The uvicorn server: prints its addresses once it listens, and stops without dropping a request."""

import asyncio
import socket
from typing import Any

import uvicorn
from starlette.applications import Starlette

from app import console
from app.settings import Settings
from app.web.accepting import Acceptor
from app.web.http_protocol import protocol
from app.web.websocket_protocol import WebSocketProtocol

GRACE_SECONDS = 10  # for requests in progress when the process stops
TICK_SECONDS = 0.1


class Server(uvicorn.Server):
    """Prints the addresses once it listens. When it stops, it first drains and then signals streams."""

    def __init__(self, app: Starlette, settings: Settings, **options: Any) -> None:
        self.protocol = protocol(settings)
        super().__init__(uvicorn.Config(app, http=self.protocol, ws=WebSocketProtocol, **options))
        self.drain_seconds = settings.drain_seconds
        self.draining: asyncio.Event = app.state.draining
        self.stopping: asyncio.Event = app.state.stopping
        self.has_web_app: bool = app.state.has_web_app
        self.has_graphiql = settings.explored
        self.acceptors: list[Acceptor] = []
        app.state.admission.connections = self.server_state.connections

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.draining.set()
        self.protocol.draining = True
        await self.drain()
        self.stopping.set()
        for acceptor in self.acceptors:
            acceptor.close()
        await super().shutdown(sockets)

    def connection(self) -> asyncio.Protocol:
        return self.protocol(self.config, self.server_state, self.lifespan.state)

    async def drain(self) -> None:
        """Serve on for DRAIN_SECONDS, or until a second signal.

        Meanwhile `/readyz` fails, so that balancers send nothing more, and each response ends its connection.
        """
        ends = asyncio.get_running_loop().time() + self.drain_seconds
        while not self.force_exit and asyncio.get_running_loop().time() < ends:
            await asyncio.sleep(TICK_SECONDS)
            await self.on_tick(0)  # keeps the date in responses

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.acceptors = [Acceptor(listening, self.connection) for listening in sockets or ()]
            address = f"http://{shown(self.servers[0].sockets[0])}"
            if self.has_web_app:
                console.notice(f"Web app: [bold]{address}/[/]")
            served = "GraphiQL and the GraphQL API" if self.has_graphiql else "GraphQL API"
            console.notice(f"{served}: [bold]{address}/graphql[/]")
            console.notice(f"Health: {address}/healthz and {address}/readyz")
            console.notice("Stop with Ctrl-C.")


def bind(settings: Settings) -> list[socket.socket]:
    """Bind the port on each address of the host, without listening: clients are refused until we serve.

    Ends the command with one line if the port is in use or the host is not of this machine.
    """
    bound: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
        for family, address in dict.fromkeys((family, address) for family, *_, address in found):
            port = socket.socket(family)
            bound.append(port)
            port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                port.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            port.bind(address)
    except OSError as error:
        for port in bound:
            port.close()
        raise console.fail(
            f"PORT {settings.port} of HOST {settings.host} cannot be opened ({error.strerror or error}): "
            "choose others, such as `marquee serve --port 8001`."
        ) from None
    return bound


def shown(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
