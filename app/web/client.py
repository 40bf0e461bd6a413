"""The client of a request: its address, its network and its agent."""

from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network, ip_address

IPV6_SITE = 64  # bits; one customer has all addresses below
LONGEST_AGENT = 200


@dataclass(frozen=True, slots=True)
class Client:
    """Where a request comes from, as far as it is known."""

    address: str | None = None
    agent: str | None = None  # what the client calls itself

    @property
    def network(self) -> str:
        """The address, or the site that an IPv6 address is of."""
        try:
            address = ip_address((self.address or "").partition("%")[0])
        except ValueError:
            return ""
        if isinstance(address, IPv6Address):
            address = address.ipv4_mapped or address
        if isinstance(address, IPv6Address):
            return str(IPv6Network((address, IPV6_SITE), strict=False))
        return str(address)
