"""The client of a request: its address, its network and its agent."""

from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address

from starlette.requests import HTTPConnection

IPV6_SITE = 64  # prefix length in bits; one customer has all addresses of a prefix
LONGEST_AGENT = 200


@dataclass(frozen=True, slots=True)
class Client:
    """The origin of a request; None for an unknown part.

    `network`: the address, or the /64 network of an IPv6 address; '' if unknown.
    """

    address: str | None = None
    agent: str | None = None  # the User-Agent header
    network: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "network", network_of(self.address or ""))


def network_of(text: str) -> str:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, IPV6_SITE), strict=False))
    return str(address)


def client_of(connection: HTTPConnection) -> Client:
    address = connection.scope.get("client")
    agent = b""
    for name, value in connection.scope["headers"]:
        if name == b"user-agent":
            agent = value[:LONGEST_AGENT]
            break
    return known(address[0] if address else None, agent)


@lru_cache(maxsize=1_000)
def known(address: str | None, agent: bytes) -> Client:
    """One object for all requests of a client."""
    shown = "".join(filter(str.isprintable, agent.decode("latin-1")))
    return Client(address, shown or None)
