"""The runtime API of haproxy: https://docs.haproxy.org/2.6/management.html#9.3"""

import csv
import io
import socket
from dataclasses import dataclass

from commands import ReleaseFailed

BACKENDS = ("requests", "websockets")
CHECKED = "requests"  # the backend whose checks the other one follows
WHOLE = 200  # the sum of the weights
TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Balancer:
    """`address`: host:port, or the path of a Unix socket."""

    address: str

    def ask(self, command: str) -> str:
        """Raises ReleaseFailed if haproxy cannot be reached or refuses the command."""
        try:
            with self._connected() as connection:
                connection.sendall(f"{command}\n".encode())
                answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
        except OSError as error:
            raise ReleaseFailed(f"The balancer at {self.address} cannot be reached: {error}.") from None
        return answer

    def share(self, server: str, percent: float, others: list[str]) -> None:
        """Send so many percent of the requests to a server, and the rest evenly to the others."""
        own = round(WHOLE * percent / 100)
        rest = max(1, round((WHOLE - own) / len(others))) if others else 0
        for name, weight in ((server, own), *((other, rest) for other in others)):
            self._weigh(name, weight)

    def spread(self, servers: list[str]) -> None:
        """Send requests evenly to all servers."""
        for server in servers:
            self._weigh(server, 1)

    def is_up(self, server: str) -> bool:
        return any(
            (row["pxname"], row["svname"]) == (CHECKED, server) and row["status"].startswith("UP")
            for row in csv.DictReader(io.StringIO(self.ask("show stat").removeprefix("# ")))
        )

    def _weigh(self, server: str, weight: int) -> None:
        for backend in BACKENDS:
            if refused := self.ask(f"set server {backend}/{server} weight {weight}").strip():
                raise ReleaseFailed(f"The balancer refuses a weight of {backend}/{server}: {refused}")

    def _connected(self) -> socket.socket:
        if "/" in self.address:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(TIMEOUT_SECONDS)
            connection.connect(self.address)
            return connection
        host, _, port = self.address.rpartition(":")
        return socket.create_connection((host or "127.0.0.1", int(port)), TIMEOUT_SECONDS)
