"""A Ray cluster of three nodes on loopback addresses, two of them with a core."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

MEGABYTE = 1 << 20


@pytest.fixture(scope="session")
def cluster_address() -> Iterator[str]:
    pytest.importorskip("ray", reason="needs the extra `cluster`: pip install ray")
    from ray.cluster_utils import Cluster  # noqa: PLC0415 - an extra

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        node = {"include_dashboard": False, "object_store_memory": 80 * MEGABYTE, "memory": 4_000 * MEGABYTE}
        head = {"num_cpus": 0, "node_ip_address": "127.0.0.2", **node}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            for host in (3, 4):
                cluster.add_node(num_cpus=1, node_ip_address=f"127.0.0.{host}", **node)
            yield cluster.address
        finally:
            cluster.shutdown()


@pytest.fixture(scope="session")
def ratings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ratings of 60 users, who like movies with odd or with even ids."""
    rng = np.random.default_rng(5)
    lines = ["userId,movieId,rating,timestamp"]
    for user in range(60):
        for movie in sorted(rng.permutation(40)[:15]):
            stars = 4.5 if movie % 2 == user % 2 else 2.0
            lines.append(f"{user},{movie},{stars + rng.choice([-0.5, 0, 0.5])},{964982703 + movie}")
    file = tmp_path_factory.mktemp("ratings") / "ratings.csv"
    file.write_text("\n".join(lines))
    return file
