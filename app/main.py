"""The composition root: what lives as long as the process, the routes, and health."""

import asyncio
import gc
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TypedDict

import uvicorn
from sqlalchemy import text
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL

from app import graphiql, live, terminal
from app.changes import Changes
from app.db import Sessions, create_engine, sessionmaker
from app.live import Live
from app.settings import Settings
from schema import schema
from schema.context import Context, bearer_token, client_of

GRACE_SECONDS = 10  # for requests under way when the process is told to stop

log = logging.getLogger("marquee")


class State(TypedDict):
    settings: Settings
    sessions: Sessions
    live: Live
    changes: Changes


class GraphQLEndpoint(GraphQL[Context, None]):
    async def get_context(
        self,
        request: Request | WebSocket,
        response: Response | WebSocket,  # noqa: ARG002 - the view's signature
    ) -> Context:
        state = request.state
        return Context(
            state.settings,
            state.sessions,
            state.live.served,
            bearer_token(request),
            state.live,
            state.changes,
            client_of(request),
        )


def create_app(settings: Settings, database_url: str) -> Starlette:
    """The service on a migrated database."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[State]:
        engine = create_engine(database_url, settings)
        sessions = sessionmaker(engine)
        following = Live(sessions, settings.models, await live.load(sessions, settings.models))
        gc.freeze()  # the catalogue lives as long as the process; a collection need not walk it each time
        changes = Changes(database_url)
        tasks = [
            asyncio.create_task(following.follow(settings.poll_seconds)),
            asyncio.create_task(changes.follow()),
        ]
        try:
            yield State(settings=settings, sessions=sessions, live=following, changes=changes)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await engine.dispose()

    endpoint: ASGIApp = GraphQLEndpoint(schema, graphql_ide=None, allow_queries_via_get=True)
    routes: list[BaseRoute] = [Route("/healthz", healthz), Route("/readyz", readyz)]
    if settings.graphiql:
        endpoint = graphiql.PageOr(endpoint)
        routes.append(graphiql.files())
    return Starlette(routes=[Route("/graphql", endpoint), *routes], lifespan=lifespan)


class Server(uvicorn.Server):
    """Tells the addresses once it truly listens."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
            terminal.console.print(f"GraphiQL and the GraphQL API: [bold]{address}/graphql[/]")
            terminal.console.print(f"Health: {address}/healthz and {address}/readyz. Stop with Ctrl-C.")


def run(settings: Settings, database_url: str) -> None:
    """Serve until a signal says stop."""
    config = uvicorn.Config(
        create_app(settings, database_url),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        loop="uvloop",
        http="httptools",
        lifespan="on",
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    with suppress(KeyboardInterrupt):
        Server(config).run()


async def healthz(_: Request) -> JSONResponse:
    """The process answers."""
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> JSONResponse:
    """It can do its work: the database answers and a model is loaded."""
    checks = {"database": False, "model": request.state.live.served.model is not None}
    try:
        async with request.state.sessions() as session:
            await session.execute(text("SELECT 1"))
        checks["database"] = True
    except Exception:
        log.exception("the database does not answer")
    ready = all(checks.values())
    return JSONResponse({"status": "ok" if ready else "unavailable", **checks}, 200 if ready else 503)
