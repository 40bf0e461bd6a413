"""Clients that hold connections and do not use them."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from websockets.sync.client import connect
from websockets.typing import Subprotocol

HEAD = b"POST /graphql HTTP/1.1\r\nHost: slow\r\nContent-Type: application/json\r\n"
# What a slow client sends, and then no more.
BEGINNINGS = {
    "nothing": b"",
    "half of the headers": HEAD,
    "half of the body": HEAD + b'Content-Length: 100\r\n\r\n{"query": "',
}


@dataclass(frozen=True, slots=True)
class Dropped:
    """After how many seconds a slow client was told so, or its connection closed."""

    sent: str
    seconds: float


def slow(url: str) -> list[Dropped]:
    """Raises TimeoutError for one that is waited for."""
    with ExitStack() as stack:
        opened = {sent: stack.enter_context(begun(url, text)) for sent, text in BEGINNINGS.items()}
        started = time.perf_counter()
        told = []
        for sent, connection in opened.items():
            connection.recv(4_000)
            told.append(Dropped(sent, time.perf_counter() - started))
    return told


def begun(url: str, text: bytes) -> socket.socket:
    address = urlsplit(url)
    connection = socket.create_connection((address.hostname, address.port), timeout=60)
    connection.sendall(text)
    return connection


@contextmanager
def held(url: str, n_slow: int, n_sockets: int) -> Iterator[None]:
    """So many slow clients, and so many websockets that ask for nothing."""
    texts = list(BEGINNINGS.values())
    with ExitStack() as stack:
        for number in range(n_slow):
            stack.enter_context(begun(url, texts[number % len(texts)]))
        for number in range(n_sockets):
            socket_ = connect(
                f"{url.replace('http', 'ws', 1)}/graphql",
                subprotocols=[Subprotocol("graphql-transport-ws")],
                additional_headers={"X-Forwarded-For": f"10.9.{number // 250}.{number % 250}"},
            )
            stack.enter_context(socket_)
        yield
