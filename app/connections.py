"""Connections of clients that are slow, or open too many: they cannot hold what others need."""

import asyncio
import socket
from collections import Counter
from ipaddress import ip_address, ip_network

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.browsers import listed
from app.settings import Settings

BODY_GRACE_SECONDS = 2.0  # for the answer to a body that does not come
TOO_MANY = (
    b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
)


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's, with an end to its patience: uvicorn itself waits for ever for a request's headers, and for
    a client to read its answer.
    """

    seconds: float
    most_per_address: int
    proxies: list[str]
    open: Counter[str]

    arriving: asyncio.TimerHandle | None = None
    unread: asyncio.TimerHandle | None = None
    address: str = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        give_up_on_unread(transport, self.seconds)
        self.address = self.client[0] if self.client else ""
        self.open[self.address] += 1
        if self.open[self.address] > self.most_per_address and not is_proxy(self.address, self.proxies):
            transport.write(TOO_MANY)
            transport.close()
            return
        self.expect(self.seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self.forget()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        self.forget()  # the websocket's protocol takes over
        super().handle_websocket_upgrade()

    def forget(self) -> None:
        self.expect(None)
        if self.unread is not None:
            self.unread.cancel()
        if self.address in self.open:
            self.open[self.address] -= 1
            if self.open[self.address] <= 0:
                del self.open[self.address]
            self.address = ""

    def expect(self, seconds: float | None) -> None:
        """That what arrives is complete after so long; None when it is."""
        if self.arriving is not None:
            self.arriving.cancel()
        self.arriving = None if seconds is None else self.loop.call_later(seconds, self.transport.close)

    def data_received(self, data: bytes) -> None:
        if self.arriving is None and (self.cycle is None or self.cycle.response_complete):
            self.expect(self.seconds)
        super().data_received(data)

    def on_headers_complete(self) -> None:
        # The body has its own limit where it is read, which can still tell the client.
        self.expect(self.seconds + BODY_GRACE_SECONDS)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self.expect(None)
        super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.unread = self.loop.call_later(self.seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.unread is not None:
            self.unread.cancel()


def give_up_on_unread(transport: asyncio.Transport, seconds: float) -> None:
    """Where the system can, it drops who does not take the last bytes, which it has from us already."""
    connection = transport.get_extra_info("socket")
    if connection is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds * 1000))


def is_proxy(address: str, proxies: list[str]) -> bool:
    try:
        return any(ip_address(address) in ip_network(each, strict=False) for each in proxies)
    except ValueError:
        return False


def protocol(settings: Settings) -> type[PatientProtocol]:
    """uvicorn makes one for each connection."""
    limits = {
        "seconds": settings.request_seconds,
        "most_per_address": settings.max_connections_per_address,
        "proxies": listed(settings.trusted_proxies),
        "open": Counter(),
    }
    return type("Protocol", (PatientProtocol,), limits)
