"""The workers of a command: `--cluster` and its options."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from app import console
from app.cluster.connection import MEGABYTE, Cluster, ClusterError, connected
from recommender.training.blocks import Workers

WORKER_MEGABYTES = 2_048

Address = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        help="Compute on a Ray cluster (extra `cluster`): HOST:PORT of its head node.",
        metavar="ADDRESS",
    ),
]
Shared = Annotated[
    Path | None,
    typer.Option(
        "--cluster-folder",
        help="With --cluster: a folder that all nodes share; default: that of the output.",
        file_okay=False,
    ),
]
WorkerMemory = Annotated[
    int, typer.Option("--worker-memory", min=1, help="With --cluster: MB of a worker, at most.")
]


@contextmanager
def workers_of(
    address: str | None, folder: Path, megabytes: int = WORKER_MEGABYTES
) -> Iterator[Workers | None]:
    """Connect to the cluster at `address`; None without an address.

    Ends the command with one line if the cluster cannot be used. At the end, prints on standard error how it
    was used.
    """
    if address is None:
        yield None
        return
    notes: list[str] = []
    try:
        with connected(Cluster(address, folder, megabytes * MEGABYTE), notes) as workers:
            yield workers
    except ClusterError as error:
        raise console.fail(str(error)) from None
    for text in notes:
        console.console.print(text, markup=False, soft_wrap=True)
