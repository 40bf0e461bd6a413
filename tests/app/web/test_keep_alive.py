"""Idle connections are kept while there are few, so that no request is sent to one that closes."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from app.settings import Settings
from app.web.http_protocol import protocol

IDLE_SECONDS = 1
REQUEST = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


async def page(_: Request) -> PlainTextResponse:
    return PlainTextResponse("here")


@contextmanager
def served(settings: Settings, longest_idle: float) -> Iterator[int]:
    """The port of a server with short times."""
    listening = socket.create_server(("127.0.0.1", 0))
    made = protocol(settings)
    made.longest_idle = longest_idle
    config = uvicorn.Config(
        Starlette(routes=[Route("/", page)]),
        http=made,
        loop="uvloop",
        timeout_keep_alive=IDLE_SECONDS,
        log_config=None,
        lifespan="off",
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(20)
    assert not thread.is_alive()


def opened(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def answered(connection: socket.socket) -> bool:
    """Whether a request on the connection is answered; False if the service has closed it."""
    try:
        connection.sendall(REQUEST)
        return connection.recv(1_000).endswith(b"here")
    except OSError:
        return False


def closes(connection: socket.socket, seconds: float) -> bool:
    connection.settimeout(seconds)
    try:
        return connection.recv(1_000) == b""
    except TimeoutError:
        return False
    finally:
        connection.settimeout(20)


def test_an_idle_connection_is_kept_while_there_are_few() -> None:
    with served(Settings(max_connections=100), 60) as port, opened(port) as idle:
        assert answered(idle)
        assert not closes(idle, 3.5 * IDLE_SECONDS)
        assert answered(idle)


def test_an_idle_connection_is_closed_after_the_longest_time() -> None:
    with served(Settings(max_connections=100), 2) as port, opened(port) as idle:
        assert answered(idle)
        assert closes(idle, 20)


def test_idle_connections_are_closed_soon_while_there_are_many() -> None:
    for settings in (
        Settings(max_connections=4),
        Settings(max_connections_per_address=4, trusted_proxies=""),
    ):
        with served(settings, 60) as port, ExitStack() as stack:
            idle = [stack.enter_context(opened(port)) for _ in range(4)]
            assert all(answered(connection) for connection in idle)
            assert all(closes(connection, 20) for connection in idle[:2])
