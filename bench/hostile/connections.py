"""Clients that hold connections without using them."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from websockets.sync.client import connect
from websockets.typing import Subprotocol

HEAD = b"POST /graphql HTTP/1.1\r\nHost: slow\r\nContent-Type: application/json\r\n"
# The only bytes that a slow client sends.
BEGINNINGS = {
    "nothing": b"",
    "half of the headers": HEAD,
    "half of the body": HEAD + b'Content-Length: 100\r\n\r\n{"query": "',
}


@dataclass(frozen=True, slots=True)
class Dropped:
    """Seconds until the service answered a slow client or closed its connection."""

    sent: str
    seconds: float


def slow(url: str) -> list[Dropped]:
    """Open a slow client for each of BEGINNINGS. Raises TimeoutError for one that is not dropped."""
    with ExitStack() as stack:
        opened = {sent: stack.enter_context(open_slow(url, text)) for sent, text in BEGINNINGS.items()}
        started = time.perf_counter()
        dropped = []
        for sent, connection in opened.items():
            connection.recv(4_000)
            dropped.append(Dropped(sent, time.perf_counter() - started))
    return dropped


def open_slow(url: str, text: bytes) -> socket.socket:
    """Connect and send only `text`."""
    address = urlsplit(url)
    connection = socket.create_connection((address.hostname, address.port), timeout=60)
    connection.sendall(text)
    return connection


@contextmanager
def held(url: str, n_slow: int, n_sockets: int) -> Iterator[None]:
    """Hold n_slow slow clients and n_sockets idle websockets open."""
    texts = list(BEGINNINGS.values())
    with ExitStack() as stack:
        for number in range(n_slow):
            stack.enter_context(open_slow(url, texts[number % len(texts)]))
        for number in range(n_sockets):
            socket_ = connect(
                f"{url.replace('http', 'ws', 1)}/graphql",
                subprotocols=[Subprotocol("graphql-transport-ws")],
                additional_headers={"X-Forwarded-For": f"10.9.{number // 250}.{number % 250}"},
            )
            stack.enter_context(socket_)
        yield
