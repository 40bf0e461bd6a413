"""Accept many new connections at once.

uvloop accepts one connection in each iteration of its loop, since libuv 1.45 (`uv__server_io`). Under load an
iteration takes a tenth of a second, so that new clients wait for seconds before the service reads or refuses
their requests.
"""

import asyncio
import socket
from collections.abc import Callable

AT_ONCE = 100  # in an iteration of the event loop: about a millisecond


class Acceptor:
    """An acceptor of connections to a listening socket, beside the event loop's own server, until `close`.

    The server accepts too: it sheds connections when the process has no free file descriptor.
    """

    def __init__(self, listening: socket.socket, protocol: Callable[[], asyncio.Protocol]) -> None:
        self.loop = asyncio.get_running_loop()
        self.protocol = protocol
        self.listening = listening.dup()  # uvloop refuses a reader for the socket of its server
        self.connecting: set[asyncio.Task[object]] = set()
        self.loop.add_reader(self.listening, self.accept)

    def accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                connection, _ = self.listening.accept()
            except OSError:  # none is left, its client has gone, or no file descriptor is free
                return
            connection.setblocking(False)
            task = self.loop.create_task(self.connect(connection))
            self.connecting.add(task)
            task.add_done_callback(self.connecting.discard)

    async def connect(self, connection: socket.socket) -> None:
        try:
            await self.loop.connect_accepted_socket(self.protocol, connection)
        except OSError:
            connection.close()

    def close(self) -> None:
        self.loop.remove_reader(self.listening)
        self.listening.close()
