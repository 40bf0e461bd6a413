"""Find a free port for a server that is started soon."""

import itertools
import random
import socket
from contextlib import suppress

FIRST, END = 20_000, 32_768  # Linux gives the ports from 32768 on to outgoing connections
_CANDIDATES = itertools.cycle(random.sample(range(FIRST, END), END - FIRST))


def free_port() -> int:
    """A port on loopback that is free now, and another one at each call. Raises OSError.

    No outgoing connection takes such a port before the server listens on it.
    """
    for port in itertools.islice(_CANDIDATES, END - FIRST):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise OSError(f"no port from {FIRST} to {END - 1} is free")
