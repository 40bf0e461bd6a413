"""Count the work and the traffic of a cluster."""

from dataclasses import dataclass, field

MEGABYTE = 1 << 20


@dataclass(slots=True)
class Usage:
    """The blocks computed by a cluster, the bytes sent and received for them, and the memory of its workers.

    sent: the shared arguments, once for each node, and those of the rows of a block. read: from shards.
    written: to shards. peak: of the worker with the most. seconds: processor time of the workers for blocks.
    """

    cores: int
    nodes: int
    blocks: int = 0
    sent: int = 0
    received: int = 0
    written: int = 0
    read: int = 0
    peak: int = 0
    seconds: float = 0.0
    by_node: dict[str, int] = field(default_factory=dict)

    def described(self) -> str:
        """One line for people."""
        written, read, sent, received, peak = (
            f"{n_bytes / MEGABYTE:,.1f} MB"
            for n_bytes in (self.written, self.read, self.sent, self.received, self.peak)
        )
        return (
            f"cluster of {self.nodes} nodes and {self.cores} cores: {self.blocks} blocks by "
            f"{len(self.by_node)} nodes in {self.seconds:,.1f} s of processor time; "
            f"shards {written} written, {read} read; {sent} sent, {received} received; "
            f"peak memory of a worker {peak}"
        )
