"""The client of a request: its address, its network and its agent."""

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address

from starlette.requests import HTTPConnection

IPV6_SITE = 64  # prefix length in bits; one customer has all addresses of a prefix
LONGEST_AGENT = 200


@dataclass(frozen=True, slots=True)
class Client:
    """The origin of a request; None for an unknown part."""

    address: str | None = None
    agent: str | None = None  # the User-Agent header

    @property
    def network(self) -> str:
        """The address, or the /64 network of an IPv6 address; '' if unknown."""
        return network_of(self.address or "")


@lru_cache(maxsize=1_000)
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
    address = connection.client.host if connection.client else None
    agent = connection.headers.get("user-agent", "")[:LONGEST_AGENT]
    if not agent.isprintable():
        agent = "".join(filter(str.isprintable, agent))
    return Client(address, agent or None)
