"""The number of workers, and the order of tests: those that take long begin first, on all workers."""

import os
from itertools import islice

import pytest


@pytest.hookimpl(optionalhook=True)  # without xdist, as with -p no:xdist, there is no such hook
def pytest_xdist_auto_num_workers() -> int | None:
    """Three workers for two cores: many tests wait for a process to start, to stop or to notice an outage."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return -(-3 * cores // 2)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        items[:] = spread(items, config.workerinput["workercount"])


def spread(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """The items with those marked as long at the start of each worker's share.

    `--dist worksteal` gives each worker an equal part of the list. Long tests of a file, or with the same
    name in the mark, stay together, since they share services.
    """
    groups: dict[object, list[pytest.Item]] = {}
    rest: list[pytest.Item] = []
    for item in items:
        mark = item.get_closest_marker("long")
        group = rest if mark is None else groups.setdefault(mark.args or item.path, [])
        group.append(item)
    shares: list[list[pytest.Item]] = [[] for _ in range(workers)]
    for number, group in enumerate(groups.values()):
        shares[number % workers] += group
    left = iter(rest)
    made: list[pytest.Item] = []
    for number, share in enumerate(shares):
        size = (len(items) - len(made)) // (workers - number)
        made += share
        made += islice(left, max(0, size - len(share)))
    return [*made, *left]
