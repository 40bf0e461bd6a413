"""New connections are accepted together, not one in each iteration of the event loop."""

import asyncio
import socket

import pytest
import uvloop

from app.web.accepting import Acceptor

CLIENTS = 200


class Noted(asyncio.Protocol):
    made = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        type(self).made += 1
        transport.close()


async def iterations(*, at_once: bool) -> int:
    """How many iterations the loop takes to accept CLIENTS connections that wait."""
    Noted.made = 0
    with socket.create_server(("127.0.0.1", 0), backlog=CLIENTS) as listening:
        listening.setblocking(False)
        server = await asyncio.get_running_loop().create_server(Noted, sock=listening, backlog=CLIENTS)
        acceptor = Acceptor(listening, Noted) if at_once else None
        clients = [socket.create_connection(listening.getsockname()) for _ in range(CLIENTS)]
        count = 0
        while Noted.made < CLIENTS:
            await asyncio.sleep(0)
            count += 1
        if acceptor is not None:
            acceptor.close()
        server.close()
        for client in clients:
            client.close()
    return count


@pytest.mark.parametrize("at_once", [True, False])
def test_waiting_connections_are_accepted_in_few_iterations(at_once: bool) -> None:
    """Without the acceptor it takes an iteration for each; if that changes, uvloop no longer needs it."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        count = runner.run(iterations(at_once=at_once))
    assert (count < CLIENTS / 5) == at_once, count
