"""The composition root: routes, and the objects with the lifetime of the process."""

import asyncio
import logging
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TypedDict

from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp
from threadpoolctl import threadpool_limits

from app import console
from app.accounts.acting import Acting
from app.accounts.browser_sessions import sessions_route
from app.accounts.demo import demo_account
from app.accounts.exports import Exports
from app.accounts.oidc import Issuer
from app.catalog.posters import poster
from app.db.engine import FullDisk, Sessions, psycopg_url
from app.db.notifications import Changes
from app.experiments.running import Running
from app.ingest.member_batches.store import MemberBatches
from app.monitoring import Monitor, observed_engine
from app.provenance.recorder import Recorder
from app.recommendations.shadow import Shadow
from app.recommendations.steering.promotions import Promotions
from app.serving import live, memory
from app.serving.live import Live
from app.settings import Settings
from app.telemetry import metrics, tracing
from app.training import worker
from app.web import graphiql
from app.web.admission import Admission
from app.web.budget import Budget
from app.web.client import client_of
from app.web.compression import Compression
from app.web.health import DatabaseProbe, healthz, readyz
from app.web.http_protocol import KEEP_ALIVE_SECONDS
from app.web.meter import meter_event_loop
from app.web.metrics_server import MetricsServer, listen
from app.web.rate_limits import RateLimits
from app.web.responses import Application, layers
from app.web.server import GRACE_SECONDS, Server, bind
from app.web.site import Site
from recommender import stages
from schema import schema
from schema.execution.actor import Credentials
from schema.execution.context import Context
from schema.http.endpoint import AtPath, Endpoint
from schema.http.persisted_documents import InvalidDocuments, TrustedDocuments, trusted_documents

PATH = "/graphql"
SWITCH_SECONDS = 0.001

log = logging.getLogger("marquee")


class LifespanState(TypedDict):
    """Objects shared by all requests."""

    settings: Settings
    sessions: Sessions
    live: Live
    changes: Changes
    rates: RateLimits
    probe: DatabaseProbe
    full_disk: FullDisk
    exports: Exports
    recorder: Recorder
    running: Running
    acting: Acting
    issuer: Issuer | None
    promotions: Promotions
    shadow: Shadow
    member_batches: MemberBatches


def context_of(connection: HTTPConnection, credentials: Credentials) -> Context:
    state: LifespanState = connection.scope["state"]
    return Context(
        state["settings"],
        state["sessions"],
        state["live"].served,
        credentials,
        state["live"],
        state["changes"],
        client_of(connection),
        Budget(state["rates"]),
        exports=state["exports"],
        recorder=state["recorder"],
        running=state["running"],
        acting=state["acting"],
        issuer=state["issuer"],
        promotions=state["promotions"],
        shadow=state["shadow"],
        member_batches=state["member_batches"],
    )


async def experiments_of(following: Live) -> Running:
    """The running experiments, with the models of their arms loaded, so that all requests have their arms."""
    running = Running(want=following.want)
    await running.read(following.sessions)
    if following.wanted:
        await following.refresh()
    return running


@asynccontextmanager
async def lifespan(
    settings: Settings, database_url: str, admission: Admission, scraped: socket.socket | None
) -> AsyncIterator[LifespanState]:
    """Begin what all requests share and the tasks of the process; end them when the process stops."""
    meter_event_loop()
    full_disk = FullDisk()
    of_requests = settings.database_url or database_url  # may be a transaction pooler
    engine, sessions = observed_engine(settings, of_requests, database_url, full_disk)
    loaded = await live.load(sessions, settings.models, settings.public_url.rstrip("/"))
    following = Live(sessions, settings.models, loaded)
    memory.settle()
    running = await experiments_of(following)
    promotions = await promotions_of(sessions)
    state = LifespanState(
        settings=settings,
        sessions=sessions,
        live=following,
        changes=Changes(database_url, sessions.replicas),
        rates=RateLimits.of(settings),
        probe=DatabaseProbe(psycopg_url(of_requests)),
        full_disk=full_disk,
        exports=Exports(settings.export_seconds),
        recorder=Recorder(settings.served_list_days),
        running=running,
        acting=Acting(),
        issuer=Issuer.of(settings),
        promotions=promotions,
        shadow=Shadow(),
        member_batches=MemberBatches(),
    )
    monitor = Monitor(settings, following, admission, engine, sessions, running)
    metrics.REGISTRY.register(monitor)
    tasks = begin_tasks(state, database_url, admission)
    if scraped is not None:
        tasks.append(asyncio.create_task(MetricsServer(scraped, settings, monitor.read).follow()))
    try:
        yield state
    finally:
        await end_tasks(tasks)
        await state["recorder"].close(psycopg_url(database_url))
        metrics.REGISTRY.unregister(monitor)
        await monitor.close()
        await state["rates"].close()
        state["probe"].close()
        await engine.dispose()
        for traces in tracing.active:
            await asyncio.to_thread(traces.stop)


async def end_tasks(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def promotions_of(sessions: Sessions) -> Promotions:
    promotions = Promotions()
    await promotions.read(sessions)
    return promotions


def begin_tasks(state: LifespanState, database_url: str, admission: Admission) -> list[asyncio.Task[None]]:
    """Begin the tasks that run as long as the process."""
    settings, following, replicas = state["settings"], state["live"], state["sessions"].replicas
    return [
        *([asyncio.create_task(replicas.follow())] if replicas else []),
        asyncio.create_task(following.follow(settings.poll_seconds, settings.learning_seconds)),
        asyncio.create_task(state["changes"].follow()),
        asyncio.create_task(state["running"].follow(state["sessions"], state["changes"])),
        asyncio.create_task(state["promotions"].follow(state["sessions"], state["changes"])),
        asyncio.create_task(state["shadow"].follow(state["sessions"], following)),
        asyncio.create_task(admission.follow()),
        asyncio.create_task(memory.follow(lambda: not admission.running)),
        asyncio.create_task(worker.follow(state["sessions"], settings, database_url)),
        asyncio.create_task(state["recorder"].follow(psycopg_url(database_url), following)),
    ]


@dataclass(frozen=True, slots=True)
class Opened:
    """The ports and files of the settings, which a service opens before it uses its database."""

    ports: list[socket.socket]
    scraped: socket.socket | None  # for the metrics
    trusted: TrustedDocuments | None
    site: Site | None  # the web app


def open_service(settings: Settings) -> Opened:
    """Bind the ports and read the files, so that a wrong setting is reported before any work.

    Ends the command with one line if that fails.
    """
    ports = bind(settings)
    stages.observers[:] = [metrics.observe_stage]
    try:
        if settings.otel_exporter_otlp_endpoint is not None:
            stages.observers.append(tracing.start().observe_stage)
        site = Site.of(demo_account(settings), explored=settings.explored) if settings.web else None
        return Opened(ports, listen(settings), read_documents(settings, site), site)
    except (tracing.NoTraces, InvalidDocuments) as error:
        raise console.fail(str(error)) from None


def read_documents(settings: Settings, site: Site | None) -> TrustedDocuments | None:
    if settings.trusted_documents is None:
        return None
    known = schema._schema  # noqa: SLF001 - graphql-core's
    return trusted_documents(settings.trusted_documents, known, site.texts if site else {})


def create_app(
    settings: Settings,
    database_url: str,
    scraped: socket.socket | None = None,
    trusted: TrustedDocuments | None = None,
    site: Site | None = None,
) -> Application:
    """Create the ASGI application. The database must be migrated. `scraped`: the socket of the metrics."""
    stopping = asyncio.Event()
    admission = Admission(settings)
    own = site.texts if site else {}
    endpoint: ASGIApp = Endpoint(
        schema, trusted, context_of, settings=settings, admission=admission, stopping=stopping, own=own
    )
    if settings.compression:
        endpoint = Compression(endpoint)
    api = endpoint
    routes: list[BaseRoute] = [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/poster/{movie_id:int}.svg", poster),
    ]
    if settings.explored:
        endpoint = graphiql.GraphiqlOrApi(endpoint, demo_account(settings))
        routes += graphiql.routes(at_root=site is None)
    if site is not None:
        routes += [sessions_route(), *site.served(compressed=settings.compression)]
    graphql = (Route(PATH, endpoint), WebSocketRoute(PATH, endpoint))
    app = Application(
        routes=[*graphql, *routes],
        lifespan=lambda _: lifespan(settings, database_url, admission, scraped),
        middleware=[*layers(settings), Middleware(AtPath, path=PATH, api=api, others=endpoint)],
    )
    app.state.draining = asyncio.Event()
    app.state.stopping = stopping
    app.state.admission = admission
    app.state.has_web_app = site is not None
    return app


def run(settings: Settings, database_url: str, opened: Opened) -> None:
    """Serve until the process receives a signal to stop."""
    memory.limit_arenas()
    app = create_app(settings, database_url, opened.scraped, opened.trusted, opened.site)
    server = Server(
        app,
        settings,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        loop="uvloop",
        ws_max_size=settings.max_body_bytes,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    # The longest time for which a thread that runs Python blocks the event loop.
    sys.setswitchinterval(SWITCH_SECONDS)
    # A list takes many small matrix products. A second BLAS thread would take four times the CPU time, and
    # sometimes 100 ms.
    with threadpool_limits(limits=1, user_api="blas"), suppress(KeyboardInterrupt):
        server.run(opened.ports)
