"""The part that runs in the workers of a cluster: read a block, compute on it."""

import resource
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numba
import ray
from threadpoolctl import threadpool_limits

from app.cluster import shards
from app.cluster.shards import Shard
from recommender.training.blocks import OfBlock

KILOBYTE = 1 << 10


class Computed(NamedTuple):
    """The result of a block.

    seconds: processor time, with that of reading the block. peak: the most memory that the worker has had so
    far, bytes. node: its name.
    """

    result: Any
    seconds: float
    peak: int
    node: str


def compute(of_block: OfBlock, shard: Shard, parts: Sequence[Any], *shared: Any) -> Computed:
    """Compute on the block of a shard, with one thread."""
    began = time.process_time()
    numba.set_num_threads(1)
    with threadpool_limits(limits=1, user_api="blas"):
        result = of_block(shards.read(shard), *shared, *parts)
    seconds = time.process_time() - began
    return Computed(result, seconds, peak_bytes(), ray.get_runtime_context().get_node_id())


def peak_bytes() -> int:
    """The most memory that this process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KILOBYTE
