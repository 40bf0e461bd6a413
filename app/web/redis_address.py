"""Clients of the Redis that `REDIS_URL` names: one server, the master that Sentinels name, or a Cluster.

redis://host:6379/0, rediss://... with TLS, unix:///path/to/socket
redis+sentinel://:password@sentinel-1:26379,sentinel-2:26379/service/0
redis+cluster://:password@node-1:6379,node-2:6379 (rediss+cluster:// with TLS)
"""

from typing import Any
from urllib.parse import unquote, urlsplit

from redis.asyncio import Redis, RedisCluster, Sentinel, SentinelConnectionPool
from redis.asyncio.cluster import ClusterNode

SENTINEL_PORT, REDIS_PORT = 26379, 6379
SENTINEL = ("redis+sentinel", "rediss+sentinel")
CLUSTER = ("redis+cluster", "rediss+cluster")

Client = Redis | RedisCluster


def connect(url: str, seconds: float) -> Client:
    """A client of this address, without connecting. `seconds`: the longest wait for a server.

    Raises ValueError, without the password, if the address is not valid.
    """
    timeouts: dict[str, Any] = {"socket_timeout": seconds, "socket_connect_timeout": seconds}
    parts = urlsplit(url)
    if parts.scheme not in (*SENTINEL, *CLUSTER):
        return Redis.from_url(url, **timeouts)
    options = {**timeouts, **credentials_in(parts.netloc), "ssl": parts.scheme.startswith("rediss")}
    if parts.scheme in CLUSTER:
        nodes = [ClusterNode(*host) for host in hosts_in(parts.netloc, REDIS_PORT)]
        return RedisCluster(startup_nodes=nodes, **options)
    service, _, database = parts.path.strip("/").partition("/")
    if not service or not (database or "0").isdigit():
        raise ValueError("REDIS_URL must end with the name of the service that the Sentinels watch: /name")
    sentinel = Sentinel(  # type: ignore[no-untyped-call]  # redis-py does not annotate it
        hosts_in(parts.netloc, SENTINEL_PORT), sentinel_kwargs=timeouts, **options
    )
    client: Redis = sentinel.master_for(service, db=int(database or "0"))
    return client


async def close(client: Client) -> None:
    await client.aclose()
    pool = None if isinstance(client, RedisCluster) else client.connection_pool
    if isinstance(pool, SentinelConnectionPool):
        for each in pool.sentinel_manager.sentinels:
            await each.aclose()


def credentials_in(netloc: str) -> dict[str, str]:
    user, _, password = netloc.rpartition("@")[0].partition(":")
    given = {"username": unquote(user), "password": unquote(password)}
    return {name: value for name, value in given.items() if value}


def hosts_in(netloc: str, port: int) -> list[tuple[str, int]]:
    """The hosts of an address with their ports, or else this one. Raises ValueError."""
    found = [urlsplit(f"//{host}") for host in netloc.rpartition("@")[2].split(",")]
    return [(host.hostname or "", host.port or port) for host in found]
