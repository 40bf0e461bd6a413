"""`map_blocks` on a Ray cluster. Import it only where Ray is installed."""

import logging
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray
from ray.exceptions import GetTimeoutError, RayError, RayTaskError
from scipy import sparse

from app.cluster import shards, tasks
from app.cluster.connection import MEGABYTE, Cluster, ClusterError
from app.cluster.shards import Shard
from app.cluster.tasks import Computed
from app.cluster.usage import Usage
from recommender.training.blocks import Block, Blocks, OfBlock, Rows, RowTooLarge, cuts

CONNECT_SECONDS = 30  # in which a cluster answers
PROBE_SECONDS = 120  # in which its first worker has started
RETRIES = 3  # of a block whose worker was lost
BLOCKS_PER_CORE = 4  # at least, so that the cores end at about the same time
BLOCKS_AHEAD = 2  # for each core, sent before their results are taken


@contextmanager
def connected(cluster: Cluster) -> Iterator["RayWorkers"]:
    """Connect to a cluster. Raises ClusterError."""
    _check(cluster.address)
    with redirect_stdout(sys.stderr):  # on which Ray reports lost workers
        try:
            ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, RuntimeError, ValueError) as error:
            raise ClusterError(f"cannot join the cluster at {cluster.address}: {_line(error)}") from None
        try:
            yield RayWorkers.of(cluster)
        finally:
            ray.shutdown()


@dataclass(frozen=True, slots=True)
class RayWorkers:
    """The workers of a Ray cluster. base: bytes that a worker has before its first block."""

    folder: Path
    memory: int
    base: int
    usage: Usage

    @classmethod
    def of(cls, cluster: Cluster) -> "RayWorkers":
        """The workers that fit the memory of the nodes. Raises ClusterError if there are none."""
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        fitting = [min(int(of.get("CPU", 0)), int(of.get("memory", 0)) // cluster.memory) for of in nodes]
        if not sum(fitting):
            raise ClusterError(
                f"no node of the cluster has a core and {cluster.memory // MEGABYTE} MB for a worker"
            )
        usage = Usage(cores=sum(fitting), nodes=len([cores for cores in fitting if cores]))
        probe = ray.remote(num_cpus=1, memory=cluster.memory)(tasks.peak_bytes)
        try:
            base = ray.get(probe.remote(), timeout=PROBE_SECONDS)
        except GetTimeoutError:
            raise ClusterError(f"no worker has started within {PROBE_SECONDS} seconds") from None
        except RayError as error:
            raise ClusterError(f"the workers cannot run this release of Marquee: {_line(error)}") from None
        cluster.folder.mkdir(parents=True, exist_ok=True)
        return cls(cluster.folder.resolve(), cluster.memory, base, usage)

    @contextmanager
    def split(
        self,
        rows: sparse.csr_matrix,
        *,
        row_bytes: int,
        shared_bytes: int,
        of_values: NDArray[np.int64] | None = None,
    ) -> Iterator[Blocks]:
        """Write the blocks to shards, which are removed at the end; see `Workers.split`.

        Raises ClusterError if the memory of a worker is too small.
        """
        least = self.usage.cores * BLOCKS_PER_CORE
        try:
            ranges = cuts(
                rows.indptr,
                memory=self.memory - self.base - shared_bytes,
                row_bytes=row_bytes,
                value_bytes=shards.VALUE_BYTES,
                least=least,
            )
        except RowTooLarge as error:
            needed = -(-(self.base + shared_bytes + error.needed) // MEGABYTE)
            raise ClusterError(
                f"{self.memory // MEGABYTE} MB are too little for a worker, which needs {needed} MB"
            ) from None
        with TemporaryDirectory(prefix=".shards-", dir=self.folder) as name:
            written = []
            for part in ranges:
                values = slice(rows.indptr[part.start], rows.indptr[part.stop])
                block = Block(part.start, rows[part], None if of_values is None else of_values[values])
                written.append(shards.write(Path(name), block))
            self.usage.written += sum(shard.size for shard in written)
            yield RayBlocks(written, self.memory, self.usage)


@dataclass(frozen=True, slots=True)
class RayBlocks:
    """A matrix in shards, computed by the workers of a Ray cluster."""

    shards: list[Shard]
    memory: int
    usage: Usage

    def map_blocks(
        self, of_block: OfBlock, shared: Sequence[Any], by_row: Sequence[Rows] = ()
    ) -> Iterator[Any]:
        """See `Blocks.map_blocks`. The block of a worker that was lost is computed again by another one."""
        task = ray.remote(num_cpus=1, memory=self.memory, max_retries=RETRIES)(tasks.compute)
        sent = [ray.put(value) if isinstance(value, np.ndarray) else value for value in shared]
        nodes: set[str] = set()
        waiting: deque[Any] = deque()
        try:
            for shard in self.shards:
                parts = [of_rows[shard.first : shard.first + shard.shape[0]] for of_rows in by_row]
                waiting.append(task.remote(of_block, shard, parts, *sent))
                self.usage.sent += _size(parts)
                if len(waiting) > self.usage.cores * BLOCKS_AHEAD:
                    yield self._result(waiting.popleft(), nodes)
            while waiting:
                yield self._result(waiting.popleft(), nodes)
        finally:
            for reference in waiting:  # after an error
                ray.cancel(reference, force=True)
        self.usage.sent += _size(shared) * len(nodes)
        self.usage.read += sum(shard.size for shard in self.shards)

    def _result(self, reference: Any, nodes: set[str]) -> Any:
        """Wait for a block. Raises the error of its computation, or ClusterError."""
        try:
            computed: Computed = ray.get(reference)
        except RayTaskError as error:
            if isinstance(error.cause, FileNotFoundError):
                raise ClusterError(
                    f"a worker cannot read {error.cause.filename or error.cause}: "
                    "name a folder that all nodes share with --cluster-folder"
                ) from None
            raise error.cause from None
        except RayError as error:
            raise ClusterError(f"a block was lost {RETRIES + 1} times: {_line(error)}") from None
        nodes.add(computed.node)
        usage = self.usage
        usage.blocks += 1
        usage.received += _size(computed.result)
        usage.seconds += computed.seconds
        usage.peak = max(usage.peak, computed.peak)
        usage.by_node[computed.node] = usage.by_node.get(computed.node, 0) + 1
        return computed.result


def _check(address: str) -> None:
    """Raise ClusterError unless a Ray cluster answers at the address.

    Another process asks, with a limit of time: in this one, Ray tries for minutes.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in host:
        raise ClusterError(f"{address} is not the address of a cluster, HOST:PORT of its head node")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS / 3).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(f"no cluster answers at {address}: {_line(error)}") from None
    command = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", address]
    try:
        found = subprocess.run(command, check=False, capture_output=True, timeout=CONNECT_SECONDS)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise ClusterError(f"no Ray cluster answers at {address} within {CONNECT_SECONDS} seconds") from None
    if found.returncode:
        raise ClusterError(f"no Ray cluster of this release of Ray answers at {address}")


def _size(value: Any) -> int:
    """The bytes of the arrays in a value."""
    if isinstance(value, np.ndarray):
        return int(value.nbytes)
    return sum(map(_size, value)) if isinstance(value, list | tuple) else 0


def _line(error: BaseException) -> str:
    """The last line of an error's message, which has the cause."""
    return (str(error).strip() or type(error).__name__).splitlines()[-1].strip()
