"""HTTP connections with timeouts, limits per address, and a lingering close."""

import asyncio
import socket
from collections import Counter
from ipaddress import ip_address, ip_network
from typing import cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.settings import Settings
from app.telemetry import metrics
from app.web.request_ids import new_id
from app.web.security import listed

BODY_GRACE_SECONDS = 2.0  # to respond to a body that does not arrive, and to receive the rest
# A request that is sent on a connection while it is closed is lost. Clients and proxies keep idle connections
# for up to a minute, so the service does so for longer, unless there are many connections.
KEEP_ALIVE_SECONDS, LONGEST_IDLE_SECONDS = 5, 75
MANY = 0.5  # of the limit of connections
REFUSED_SECONDS = 1.0  # for a client to read the refusal of its connection
HEADROOM = 2  # connections accepted, in multiples of MAX_CONNECTIONS; the excess gets only health checks
MAX_HEAD_BYTES = 131_072  # of a request's line and headers
SHORT_BODY_BYTES = 65_536
MAX_DRAINED_BYTES = 64_000_000  # of an unread body, before the connection is closed


def refusal(status: str, *headers: str) -> bytes:
    lines = (f"HTTP/1.1 {status}", *headers, "Connection: close", "Content-Length: 0", "", "")
    return "\r\n".join(lines).encode()


CLOSE = (b"connection", b"close")
TOO_MANY = refusal("429 Too Many Requests", "Retry-After: 1")
OVERLOADED = refusal("503 Service Unavailable", "Retry-After: 2")
TOO_LONG = refusal("431 Request Header Fields Too Large")


class TimeoutProtocol(HttpToolsProtocol):
    """uvicorn's protocol with three additions.

    - Timeouts for the headers of a request, and for a client that does not read its response.
    - A lingering close (RFC 9112, 9.6). Closing a socket with unread bytes resets the connection, and the
      client may lose the response. So a response that is sent before the whole request has arrived announces
      the end of the connection. Only the sending side is closed, and the rest of the request is received and
      dropped, up to a time and a length.
    - Idle connections are kept for longer while there are few.
    """

    seconds: float
    most: int
    most_per_address: int
    longest_idle: float = LONGEST_IDLE_SECONDS
    draining = False  # set on the class when the process stops: each response then ends its connection
    proxies: list[str]
    open: Counter[str]

    arriving: asyncio.TimerHandle | None = None
    unread: asyncio.TimerHandle | None = None
    address: str = ""
    refused = False  # bytes that still arrive are dropped
    lingering = False  # closes when the whole request has arrived
    in_head = False
    arrived = True  # whether the whole request has arrived
    keep_alive = False  # whether the connection may serve another request once this one has arrived
    idle_seconds = 0.0  # since the last answer
    received = 0  # bytes of the request's head, or bytes dropped

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        give_up_on_unread(transport, self.seconds)
        self.address = self.client[0] if self.client else ""
        self.open[self.address] += 1
        if self.open[self.address] > self.most_per_address and not is_proxy(self.address, self.proxies):
            metrics.limits_hit.labels("MAX_CONNECTIONS_PER_ADDRESS").inc()
            self.refuse(TOO_MANY)
            return
        if len(self.connections) > HEADROOM * self.most:
            metrics.limits_hit.labels("MAX_CONNECTIONS").inc()
            self.refuse(OVERLOADED)
            return
        self.expect(self.seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self.forget()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        self.forget()  # the websocket protocol takes over
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
        """Close the connection unless the request arrives within this time; None cancels the timeout."""
        if self.arriving is not None:
            self.arriving.cancel()
        self.arriving = None if seconds is None else self.loop.call_later(seconds, self.transport.close)

    def data_received(self, data: bytes) -> None:
        dropped = self.refused or (self.cycle is not None and self.cycle.response_complete)
        if self.in_head or dropped:
            self.received += len(data)
        if dropped and self.received > MAX_DRAINED_BYTES:
            self.transport.close()
        elif not self.refused:
            if self.arriving is None and (self.cycle is None or self.cycle.response_complete):
                self.expect(self.seconds)
            super().data_received(data)
            if self.in_head and self.received > MAX_HEAD_BYTES:
                self.refuse(TOO_LONG)

    def refuse(self, answer: bytes) -> None:
        """Send a refusal on a connection and close it; only close it if an earlier request is in progress."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.close()  # an earlier request is still being answered
            return
        self.refused = True
        self.transport.write(answer.replace(b"\r\n\r\n", f"\r\nX-Request-Id: {new_id()}\r\n\r\n".encode()))
        self.expect(REFUSED_SECONDS)
        self.stop_sending()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's signature
        self.refuse(refusal("400 Bad Request"))

    def stop_sending(self) -> None:
        if self.transport.can_write_eof() and not self.transport.is_closing():
            self.transport.write_eof()

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection, which was idle for a while; keep it if there are few."""
        self.idle_seconds += self.timeout_keep_alive
        of_address = 0 if is_proxy(self.address, self.proxies) else self.open[self.address]
        many = len(self.connections) > MANY * self.most or of_address > MANY * self.most_per_address
        if many or self.idle_seconds >= self.longest_idle or self.transport.is_closing():
            super().timeout_keep_alive_handler()
        else:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.in_head, self.received, self.idle_seconds = True, 0, 0.0

    def on_headers_complete(self) -> None:
        # Reading the body has its own, shorter timeout, which can respond to the client.
        self.expect(self.seconds + BODY_GRACE_SECONDS)
        self.in_head = False
        former = self.cycle
        super().on_headers_complete()
        if self.cycle is not former:
            self.arrived = False
            self.keep_alive = self.cycle.keep_alive
            self.cycle.keep_alive = self.keep_alive and self.body_is_short()
            if self.draining:
                self.cycle.default_headers = [*self.cycle.default_headers, CLOSE]
            self.cycle.transport = cast("asyncio.Transport", Lingering(self, self.cycle))

    def body_is_short(self) -> bool:
        """Whether the rest of the body surely arrives, and dropping it is faster than a new connection."""
        lengths = [value for name, value in self.headers if name == b"content-length" and value.isdigit()]
        chunked = any(name == b"transfer-encoding" for name, _ in self.headers)
        return not self.expect_100_continue and not chunked and sum(map(int, lengths)) <= SHORT_BODY_BYTES

    def on_message_complete(self) -> None:
        self.expect(None)
        if not self.arrived and not self.cycle.response_started:
            self.cycle.keep_alive = self.keep_alive
        self.arrived = True
        if self.lingering:
            self.transport.close()
        super().on_message_complete()

    def shutdown(self) -> None:
        self.keep_alive = False
        if not self.in_head:  # the rest of a head still arrives, for at most `seconds`, and is answered
            super().shutdown()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.unread = self.loop.call_later(self.seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.unread is not None:
            self.unread.cancel()


class Lingering:
    """The transport of one request. `close` takes effect when the whole request has arrived."""

    def __init__(self, protocol: TimeoutProtocol, cycle: RequestResponseCycle) -> None:
        self.protocol = protocol
        self.cycle = cycle
        self.write = protocol.transport.write
        self.is_closing = protocol.transport.is_closing

    def close(self) -> None:
        if self.protocol.arrived or self.protocol.cycle is not self.cycle:
            self.protocol.transport.close()
        else:
            self.protocol.lingering = True
            self.protocol.stop_sending()


def give_up_on_unread(transport: asyncio.Transport, seconds: float) -> None:
    """Let the system drop a client that does not acknowledge the last bytes, if it supports that."""
    connection = transport.get_extra_info("socket")
    if connection is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds * 1000))


def is_proxy(address: str, proxies: list[str]) -> bool:
    try:
        return any(ip_address(address) in ip_network(each, strict=False) for each in proxies)
    except ValueError:
        return False


def protocol(settings: Settings) -> type[TimeoutProtocol]:
    """The protocol class, which uvicorn instantiates for each connection."""
    limits = {
        "seconds": settings.request_seconds,
        "most": settings.max_connections,
        "most_per_address": settings.max_connections_per_address,
        "proxies": listed(settings.trusted_proxies),
        "open": Counter(),
    }
    return type("Protocol", (TimeoutProtocol,), limits)
