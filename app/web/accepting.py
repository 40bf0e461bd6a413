"""Accept many new connections at once.

uvloop accepts one connection in each iteration of its loop, since libuv 1.43 (`uv__server_io`). Under load an
iteration takes a tenth of a second, so that new clients wait for seconds before a request of theirs is read
or refused.
"""

import asyncio
import socket
from collections.abc import Callable

AT_ONCE = 100  # in an iteration of the event loop: about a millisecond


class Acceptor:
    """Accepts connections to a listening socket beside the event loop's own server, until `close`.

    The server goes on: it sheds connections when the process has no free file descriptor.
    """

    def __init__(self, listening: socket.socket, protocol: Callable[[], asyncio.Protocol]) -> None:
        self.loop = asyncio.get_running_loop()
        self.protocol = protocol
        self.listening = listening.dup()  # the loop does not let the server's own be watched
        self.connecting: set[asyncio.Task[object]] = set()
        self.loop.add_reader(self.listening, self.accept)

    def accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                connection, _ = self.listening.accept()
            except OSError:  # none is left, or it has gone
                return
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
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
