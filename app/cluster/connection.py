"""Connect to a cluster, with errors of one line."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from recommender.training.blocks import Workers

MEGABYTE = 1 << 20


class ClusterError(Exception):
    """The cluster cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Ray cluster that a command may use.

    address: HOST:PORT of its head. folder: a folder that all nodes share. memory: bytes of a worker, at most.
    """

    address: str
    folder: Path
    memory: int


@contextmanager
def connected(cluster: Cluster, notes: list[str]) -> Iterator[Workers]:
    """Connect to a cluster; at the end, append to `notes` how it was used.

    Raises ClusterError without Ray, for an address where no cluster answers within CONNECT_SECONDS, and for a
    cluster that cannot run the workers.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray reports its use over the network otherwise
    try:
        ray_workers = import_module("app.cluster.ray_workers")
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise ClusterError("a cluster needs Ray: install the extra `cluster`") from None
    with ray_workers.connected(cluster) as workers:
        try:
            yield workers
        finally:
            notes.append(workers.usage.described())
